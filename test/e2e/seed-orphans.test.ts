/**
 * Resources without an owner, when they are given to the administrator: under which names, and
 * which ones are left alone. `seed-conflicts.test.ts` has those that the database refuses.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { createLineage } from "../support/lineage.ts";
import { query } from "../support/query.ts";
import { ADMIN, type Template, templateAtHead } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const BOB = "bob@example.com";
const NO_LEDGER = { HEADGATE_NO_LEDGER: "true" };
const servers = useServers();
let template: Template;
beforeAll(async () => {
  template = await templateAtHead(servers.postgres);
}, 60_000);

/** Something for every column that must have a value. */
const FILLINGS: Readonly<Record<string, string>> = {
  boolean: "true",
  integer: "1",
  json: "'{}'",
  jsonb: "'[]'",
  "timestamp with time zone": "clock_timestamp()",
};

/** One row per set of values; what else a schema insists on is made up. Ids are in their order. */
async function insert(
  url: string,
  table: string,
  ...rows: readonly Readonly<Record<string, string>>[]
): Promise<void> {
  const needed = await query(
    url,
    `select column_name as name, data_type as type from information_schema.columns
where table_name = '${table}' and is_nullable = 'NO' and column_default is null`,
  );
  for (const [at, row] of rows.entries()) {
    const values: Record<string, string> = {};
    for (const { name, type } of needed) values[name] = FILLINGS[type] ?? "'-'";
    values["id"] = `'${table}-${at + 1}'`;
    for (const [name, text] of Object.entries(row)) values[name] = `'${text}'`;
    const columns = Object.keys(values).join(", ");
    await query(
      url,
      `insert into ${table} (${columns}) values (${Object.values(values).join(", ")})`,
    );
  }
}

/** As the application writes them: the name is the slug of the custom name. */
function derived(name: string, original: string): Readonly<Record<string, string>> {
  const slug = name.toLowerCase().replaceAll(" ", "-");
  return { original_name: original, custom_name: name, custom_name_slug: slug, name: slug };
}

/** The application's listener, which makes the name out of the slug again at every update. */
function listenTo(table: string): string {
  return `create function rename_${table}() returns trigger language plpgsql as
$$ begin new.name := new.custom_name_slug; return new; end $$;
create trigger listener before update on ${table} for each row execute function rename_${table}();`;
}

const SCHEMAS: readonly [what: string, open: () => Promise<string>][] = [
  ["the embedded schema", async () => (await template.copy()).url],
  ...(["alembic", "orm"] as const).map((lineage): [string, () => Promise<string>] => [
    `the ${lineage} lineage`,
    async () => {
      const { url } = await servers.postgres.createDatabase();
      await createLineage(url, lineage);
      return url;
    },
  ]),
];

function assign(url: string, ...flags: readonly string[]): Promise<Run> {
  return headgate(["seed", "--assign-orphans", ...flags], withUrl(url, NO_LEDGER));
}

describe.each(SCHEMAS)("on %s", (_what, open) => {
  test("six servers of one name are all assigned, five of them with a number", async () => {
    const url = await open();
    await insert(url, "servers", ...Array.from({ length: 6 }, () => ({ name: "alpha" })));
    const run = await assign(url);
    expect([run.status, eventOf(run, "seed.conflict")]).toEqual([0, undefined]);
    const [team] = await query(url, "select id from email_teams where is_personal");
    const rest = {
      owner_email: ADMIN,
      team_id: team?.["id"],
      visibility: "public",
      federation_source: "mcpgateway-0.7.0-migration",
    };
    expect(
      await query(
        url,
        "select name, owner_email, team_id, visibility, federation_source from servers order by id",
      ),
    ).toEqual(
      ["alpha", "alpha-2", "alpha-3", "alpha-4", "alpha-5", "alpha-6"].map((name) => ({
        name,
        ...rest,
      })),
    );
    expect((await assign(url)).stdout).toBe("Nothing to seed\n");
  });

  test.each(["tools", "prompts"])(
    "two %s of one name get two, which the application derives again",
    async (table) => {
      const url = await open();
      await insert(url, table, derived("Web Search", "one"), derived("Web Search", "two"));
      await query(url, listenTo(table));
      const run = await assign(url);
      expect([run.status, eventOf(run, "seed.conflict")]).toEqual([0, undefined]);
      const names = `select name, custom_name, custom_name_slug, original_name, owner_email from ${table} order by id`;
      const expected = [
        { ...derived("Web Search", "one"), owner_email: ADMIN },
        { ...derived("Web Search-2", "two"), owner_email: ADMIN },
      ];
      expect(await query(url, names)).toEqual(expected);
      await query(url, `update ${table} set description = 'changed'`);
      expect(await query(url, names)).toEqual(expected);
    },
  );

  test("all six kinds are assigned, and numbers go on from those in use", async () => {
    const url = await open();
    await assign(url);
    const [team] = await query(url, "select id from email_teams where is_personal");
    const mine = { owner_email: ADMIN, team_id: String(team?.["id"]), visibility: "private" };
    await insert(url, "gateways", { ...mine, slug: "g" }, { ...mine, slug: "g-7" }, { slug: "g" });
    await insert(url, "resources", { ...mine, uri: "file:///a" }, { uri: "file:///a" });
    await insert(url, "a2a_agents", { slug: "agent" }, { slug: "agent" });
    await insert(url, "servers", { name: "50%_off" }, { name: "50%_off" });
    await insert(url, "tools", derived("t", "t"));
    await insert(url, "prompts", derived("p", "p"));
    expect((await assign(url)).status).toBe(0);
    const values = `select slug as value, owner_email from gateways union all select uri, owner_email from resources
union all select slug, owner_email from a2a_agents union all select name, owner_email from servers
union all select name, owner_email from tools union all select name, owner_email from prompts order by value`;
    expect(await query(url, values)).toEqual(
      ["50%_off", "50%_off-2", "agent", "agent-2", "file:///a", "file:///a-2", "g", "g-7", "g-8"]
        .concat("p", "t")
        .map((value) => ({ value, owner_email: ADMIN })),
    );
  });
});

describe("a resource that is somebody's", () => {
  /** In a database that is seeded already, so that a run writes only what it takes. */
  async function withOwned(): Promise<string> {
    const { url } = await template.copy();
    await headgate(["seed"], withUrl(url));
    await query(
      url,
      `insert into servers (id, name, owner_email, team_id, visibility) values
  ('bob', 'private', '${BOB}', null, 'private'), ('nobody', 'private', null, null, 'private')`,
    );
    return url;
  }

  const BOBS = "select to_jsonb(s) as row from servers s where id = 'bob'";

  test.each([["up"], ["seed"], ["up --assign-orphans"], ["seed --assign-orphans"]])(
    "is unchanged by %s, private as it is",
    async (line) => {
      const url = await withOwned();
      const before = await query(url, BOBS);
      expect((await headgate(line.split(" "), withUrl(url))).status).toBe(0);
      expect(await query(url, BOBS)).toEqual(before);
      const [nobodys] = await query(url, "select owner_email from servers where id = 'nobody'");
      expect(nobodys?.["owner_email"]).toBe(line.includes("--assign-orphans") ? ADMIN : null);
    },
  );

  test("is taken and published with --take-owned", async () => {
    const url = await withOwned();
    const run = await headgate(["seed", "--assign-orphans", "--take-owned"], withUrl(url));
    expect(run.status).toBe(0);
    const [team] = await query(url, "select id from email_teams where is_personal");
    const rest = { owner_email: ADMIN, team_id: team?.["id"], visibility: "public" };
    expect(
      await query(
        url,
        "select name, owner_email, team_id, visibility from servers order by created_at, id",
      ),
    ).toEqual([
      { name: "private", ...rest },
      { name: "private-2", ...rest },
    ]);
  });

  test("--take-owned alone is a contradiction, and writes nothing", async () => {
    const url = await withOwned();
    const before = await query(url, BOBS);
    expect((await headgate(["seed", "--take-owned"], withUrl(url))).status).toBe(2);
    expect(await query(url, BOBS)).toEqual(before);
  });

  test("stays in its team, and as visible, when only the owner is missing", async () => {
    const url = await withOwned();
    await query(
      url,
      `insert into email_users (id, email, password_hash) values ('2', '${BOB}', 'x');
insert into email_teams (id, name, slug, created_by) values ('blue', 'Blue', 'blue', '${BOB}');
update servers set team_id = 'blue', visibility = 'team' where id = 'nobody'`,
    );
    expect((await headgate(["seed", "--assign-orphans"], withUrl(url))).status).toBe(0);
    expect(
      await query(url, "select owner_email, team_id, visibility from servers where id = 'nobody'"),
    ).toEqual([{ owner_email: ADMIN, team_id: "blue", visibility: "team" }]);
  });
});
