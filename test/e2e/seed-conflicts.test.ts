/**
 * Resources that cannot be given to the administrator, and ones that could not if they kept their
 * names: whatever happens to one row, migrations, roles and the other rows stay.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { HEAD } from "../../src/embed/head.gen.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { query } from "../support/query.ts";
import { ADMIN, EXPECTED, seedCounts, type Template, templateAtHead } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const UP = ["up", "--assign-orphans", "--json"];
const servers = useServers();
let template: Template;
beforeAll(async () => {
  template = await templateAtHead(servers.postgres);
}, 60_000);

/** One migration short of head, and not seeded. */
async function behind(): Promise<string> {
  const { url } = await servers.postgres.createDatabase();
  const to = String(HEAD.version - 1);
  expect((await headgate(["up", "--to", to], withUrl(url))).status).toBe(0);
  expect((await seedCounts(url)).roles).toEqual({});
  return url;
}

/** No two of the administrator's servers may have one icon: what no new name can cure. */
const ONE_ICON = "create unique index one_icon on servers (icon) where owner_email is not null;";
const THREE_SERVERS = `${ONE_ICON}
insert into servers (id, name, icon) values ('1', 'first', 'x'), ('2', 'second', 'x'), ('3', 'third', 'y');
insert into gateways (id, name, slug, url, transport) values ('1', 'later', 'later', '-', 'sse');`;

async function expectOthersAssigned(url: string): Promise<void> {
  expect(await query(url, "select name, owner_email from servers order by id")).toEqual([
    { name: "first", owner_email: ADMIN },
    { name: "second", owner_email: null },
    { name: "third", owner_email: ADMIN },
  ]);
  expect(await query(url, "select owner_email from gateways")).toEqual([{ owner_email: ADMIN }]);
}

function expectOneConflict(run: Run): void {
  expect(run.status).toBe(0);
  const { conflicts } = JSON.parse(run.stdout).seeds;
  const reason = expect.stringMatching(/one_icon.*SQLSTATE 23505/);
  expect(conflicts).toEqual([{ what: 'servers "second", public', reason }]);
  expect(run.events.filter(({ event }) => event === "seed.conflict")).toMatchObject([
    { level: "warn", ...conflicts[0] },
  ]);
  expect(eventOf(run, "database.ready")).toBeDefined();
}

describe("a row that the database refuses", () => {
  test("rolls back alone: what was written before and after it stays", async () => {
    const { url } = await template.copy();
    await headgate(["up"], withUrl(url));
    await query(url, `delete from roles where name = 'viewer'; ${THREE_SERVERS}`);
    const run = await headgate(UP, withUrl(url));
    expectOneConflict(run);
    const kinds = JSON.parse(run.stdout).seeds.changes.map(({ kind }: { kind: string }) => kind);
    expect(kinds).toEqual(["create-role", "assign-orphan", "assign-orphan", "assign-orphan"]);
    await expectOthersAssigned(url);
    expect(await seedCounts(url)).toEqual(EXPECTED);
  });

  test("leaves pending migrations applied", async () => {
    const url = await behind();
    await query(url, THREE_SERVERS);
    const run = await headgate(UP, withUrl(url));
    expectOneConflict(run);
    expect(JSON.parse(run.stdout).applied).toHaveLength(1);
    expect((await headgate(["status", "--exit-code"], withUrl(url))).status).toBe(0);
    await expectOthersAssigned(url);
    expect(await seedCounts(url)).toEqual(EXPECTED);
  });

  test("is tried again by the next run, which changes nothing else", async () => {
    const { url } = await template.copy();
    await query(url, THREE_SERVERS);
    expectOneConflict(await headgate(UP, withUrl(url)));
    const others = `select xmin::text, to_jsonb(r) as row from roles r
union all select xmin::text, to_jsonb(s) from servers s where id <> '2' order by 2`;
    const before = await query(url, others);
    expectOneConflict(await headgate(UP, withUrl(url)));
    expect(await query(url, others)).toEqual(before);
    await query(url, "drop index one_icon");
    const run = await headgate(["seed", "--assign-orphans"], withUrl(url));
    expect(run.stdout).toContain('assigned servers "second"');
    expect(await query(url, others)).toEqual(before);
  });

  test("by a trigger of its own is as much of a conflict", async () => {
    const { url } = await template.copy();
    await query(
      url,
      `insert into servers (id, name) values ('1', 'first'), ('2', 'second');
create function refuse() returns trigger language plpgsql as $$ begin
  if new.name = 'first' then raise exception 'not this one'; end if; return new; end $$;
create trigger refuse before update on servers for each row execute function refuse()`,
    );
    const run = await headgate(UP, withUrl(url));
    expect(run.status).toBe(0);
    const reason = "not this one (SQLSTATE P0001)";
    expect(JSON.parse(run.stdout).seeds.conflicts).toMatchObject([{ reason }]);
    expect(await query(url, "select id from servers where owner_email is not null")).toEqual([
      { id: "2" },
    ]);
    expect(await seedCounts(url)).toEqual(EXPECTED);
  });

  test("is named on stdout too", async () => {
    const { url } = await template.copy();
    await query(url, THREE_SERVERS);
    const run = await headgate(["up", "--assign-orphans"], withUrl(url));
    expect(run.stdout).toMatch(/not assigned servers "second", public: .*one_icon/);
  });

  test("does not hide the others, however many there are", async () => {
    const { url } = await template.copy();
    await query(
      url,
      `${ONE_ICON} insert into servers (id, name, icon)
select lpad(n::text, 4, '0'), 'same', case when n <= 600 then 'x' end from generate_series(1, 1200) as n`,
    );
    const run = await headgate(["seed", "--assign-orphans", "--json"], withUrl(url));
    expect(run.status).toBe(0);
    expect(JSON.parse(run.stdout).conflicts).toHaveLength(599);
    const [found] = await query(
      url,
      "select count(*)::int as assigned, count(distinct name)::int as names from servers where owner_email is not null",
    );
    expect(found).toEqual({ assigned: 601, names: 601 });
  }, 120_000);

  test("without the savepoint it takes everything with it", async () => {
    const within = (text: string): Mutation => ({
      file: "db/savepoint.ts",
      find: `await connection.run("${text}");`,
      replace: "",
    });
    const mutant = await buildMutant(
      within("savepoint one_row"),
      within("release savepoint one_row"),
      within("rollback to savepoint one_row; release savepoint one_row"),
    );
    const { url } = await template.copy();
    await query(url, THREE_SERVERS);
    const run = await headgate(UP, { ...withUrl(url), binary: mutant.binary });
    mutant.remove();
    expect(run.status).toBe(9);
    expect((await seedCounts(url)).roles).toEqual({});
  });
});

describe("one migration short of head, two resources of one name", () => {
  const names = "'Web Search', 'Web Search', 'web-search', 'web-search'";
  const twins: readonly [table: string, sql: string][] = [
    [
      "tools",
      `insert into tools (id, original_name, custom_name, custom_name_slug, name,
  integration_type, request_type, input_schema)
select n::text, ${names}, 'REST', 'GET', '{}' from generate_series(1, 2) as n`,
    ],
    [
      "prompts",
      `insert into prompts (id, original_name, custom_name, custom_name_slug, name,
  template, argument_schema)
select n::text, ${names}, '', '{}' from generate_series(1, 2) as n`,
    ],
  ];
  test.each(twins)("%s: both are assigned, and the migration stays", async (table, sql) => {
    const url = await behind();
    await query(url, sql);
    const run = await headgate(UP, withUrl(url));
    expect(run.status).toBe(0);
    expect(JSON.parse(run.stdout).seeds.conflicts).toEqual([]);
    expect(
      await query(
        url,
        `select name, custom_name, custom_name_slug, owner_email from ${table} order by id`,
      ),
    ).toEqual([
      {
        name: "web-search",
        custom_name: "Web Search",
        custom_name_slug: "web-search",
        owner_email: ADMIN,
      },
      {
        name: "web-search-2",
        custom_name: "Web Search-2",
        custom_name_slug: "web-search-2",
        owner_email: ADMIN,
      },
    ]);
    const pod = ["up", "--skip-migrations", "verify"];
    expect((await headgate(pod, withUrl(url))).status).toBe(0);
    expect((await headgate(["probe", "--require-seeds"], withUrl(url))).status).toBe(0);
  });
});
