/**
 * Seeding that fails, or has nothing to do with this database: the exit status says so, migrations
 * stay, and nothing is half there.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { HEAD } from "../../src/embed/head.gen.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { asRole, query } from "../support/query.ts";
import { EXPECTED, seedCounts, type Template, templateAtHead } from "../support/seeds.ts";
import type { Credentials } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();
let template: Template;
beforeAll(async () => {
  template = await templateAtHead(servers.postgres);
}, 60_000);

/** A database at head with this done to it. */
async function altered(change: string): Promise<string> {
  const { url } = await template.copy();
  await query(url, change);
  return url;
}

function trigger(when: string, body: string): string {
  return `create function act() returns trigger language plpgsql as $$ begin ${body} end $$;
create trigger act ${when} for each row execute function act();`;
}

const NO_VIEWER = trigger(
  "before insert on roles",
  "if new.name = 'viewer' then raise exception 'no viewers here'; end if; return new;",
);

const NOTHING = {
  ...EXPECTED,
  roles: {},
  grants: {},
  admins: 0,
  registrations: 0,
  personalTeams: 0,
  members: 0,
  history: 0,
  records: 0,
};

function reasonOf(run: Run): string {
  return String(eventOf(run, "command.failed")?.["reason"]);
}

describe("when the database refuses a row", () => {
  test.each([
    ["the fast path", HEAD.version],
    ["behind a migration", HEAD.version - 1],
  ])("up exits 9 on %s; the ledger is at head, and nothing is seeded", async (_where, to) => {
    const { url } = await servers.postgres.createDatabase();
    await headgate(["up", "--seed", "none", "--to", String(to)], withUrl(url));
    await query(url, NO_VIEWER);
    const run = await headgate(["up"], withUrl(url));
    expect(run.status).toBe(9);
    expect(reasonOf(run)).toMatch(/create-role viewer.*no viewers here.*SQLSTATE P0001/);
    expect(eventOf(run, "database.ready")).toBeUndefined();
    expect(eventOf(run, "seed.written")).toBeUndefined();
    expect((await headgate(["status", "--exit-code"], withUrl(url))).status).toBe(0);
    expect(await seedCounts(url)).toEqual(NOTHING);
    await query(url, "drop trigger act on roles");
    expect((await headgate(["up"], withUrl(url))).status).toBe(0);
    expect(await seedCounts(url)).toEqual(EXPECTED);
  });

  test("--seed-failure warn says so and goes on", async () => {
    const url = await altered(NO_VIEWER);
    for (const env of [{}, { HEADGATE_SEED_FAILURE: "warn" }]) {
      const flags = Object.keys(env).length === 0 ? ["--seed-failure", "warn"] : [];
      const run = await headgate(["up", ...flags], withUrl(url, env));
      expect(run.status).toBe(0);
      expect(eventOf(run, "seed.failed")).toMatchObject({
        level: "warn",
        reason: expect.stringContaining("no viewers here"),
        hint: expect.any(String),
      });
      expect(run.events.at(-1)?.event).toBe("database.ready");
    }
    expect(await seedCounts(url)).toEqual(NOTHING);
    expect((await headgate(["probe", "--require-seeds"], withUrl(url))).status).toBe(1);
  });

  test("seed exits 9 too", async () => {
    const run = await headgate(["seed"], withUrl(await altered(NO_VIEWER)));
    expect([run.status, run.stdout]).toEqual([9, ""]);
  });

  test("a reference to nobody is an error with its SQLSTATE and detail", async () => {
    const rename = "new.email := 'other@example.com'; return new;";
    const url = await altered(trigger("before insert on email_users", rename));
    const run = await headgate(["up"], withUrl(url));
    expect(run.status).toBe(9);
    expect(eventOf(run, "command.failed")?.["code"]).toBe("seed-failed");
    expect(reasonOf(run)).toMatch(/create-role platform_admin.*SQLSTATE 23503/);
    expect(reasonOf(run)).toContain("detail: Key (created_by)=(admin@example.com) is not present");
    expect(await seedCounts(url)).toEqual(NOTHING);
  });

  test("a unique violation that is no lost race is an error, and names its constraint", async () => {
    const url = await altered(
      "create unique index one_description on roles (is_system_role) where is_system_role",
    );
    const run = await headgate(["up"], withUrl(url));
    expect(run.status).toBe(9);
    expect(reasonOf(run)).toMatch(/one_description.*SQLSTATE 23505/);
    expect(await seedCounts(url)).toEqual(NOTHING);
  });

  test("a role to be granted that is nowhere defined is an error", async () => {
    const url = await altered("select");
    const run = await headgate(["up"], withUrl(url, { DEFAULT_ADMIN_ROLE: "nobody" }));
    expect(run.status).toBe(9);
    expect(reasonOf(run)).toContain('the role "nobody"');
    expect(await seedCounts(url)).toEqual(NOTHING);
  });
});

describe("when the database does not keep what is written", () => {
  const forgetful: readonly [what: string, change: string][] = [
    ["a trigger swallows an insert", trigger("before insert on roles", "return null;")],
    [
      "a trigger takes a change back",
      `insert into email_users (id, email, password_hash) values ('1', 'admin@example.com', 'x');
${trigger("before update on email_users", "new.is_admin := false; return new;")}`,
    ],
  ];
  test.each(forgetful)(
    "%s: seed ends in exit 9, soon",
    async (_what, change) => {
      const run = await headgate(["seed", "--deadline", "20s"], withUrl(await altered(change)));
      expect([run.status, eventOf(run, "command.failed")?.["code"]]).toEqual([9, "seed-failed"]);
      expect(run.events.length).toBeLessThan(50);
    },
    60_000,
  );

  test("an update that reaches no row is a conflict, and the others are assigned", async () => {
    const url = await altered(
      `insert into servers (id, name) values ('1', 'a'), ('2', 'b');
${trigger("before update on servers", "if new.id = '1' then return null; end if; return new;")}`,
    );
    const args = ["seed", "--assign-orphans", "--json", "--deadline", "20s"];
    const run = await headgate(args, withUrl(url));
    expect(run.status).toBe(0);
    expect(JSON.parse(run.stdout).conflicts).toHaveLength(1);
    expect(await query(url, "select id from servers where owner_email is not null")).toEqual([
      { id: "2" },
    ]);
  }, 60_000);
});

describe("a role without the privilege", () => {
  async function unprivileged(url: string, grants: string): Promise<string> {
    const role: Credentials = await servers.postgres.createRole();
    const name = new URL(url).pathname.slice(1);
    await query(
      url,
      `grant connect on database ${name} to ${role.user}; grant usage on schema public to ${role.user};
grant select on all tables in schema public to ${role.user};
${grants.replaceAll("ROLE", role.user)}`,
    );
    return asRole(url, role);
  }

  const LEDGER = "grant all on headgate_migrations to ROLE;";
  const WRITES = "grant insert, update on all tables in schema public to ROLE;";

  test.each(["up", "seed"])("to insert: %s exits 9 and says what to grant", async (command) => {
    const { url } = await template.copy();
    const run = await headgate([command], withUrl(await unprivileged(url, LEDGER)));
    expect(run.status).toBe(9);
    expect(reasonOf(run)).toContain("SQLSTATE 42501");
    expect(eventOf(run, "command.failed")?.["hint"]).toContain("Grant the role");
    expect(await seedCounts(url)).toEqual(NOTHING);
  });

  test.each([
    ["to lock the ledger", WRITES.replace("insert, update", "insert")],
    ["to create the table of seeds", LEDGER + WRITES],
  ])("%s: up exits 9 and says what to grant", async (_what, grants) => {
    const { url } = await template.copy();
    const sequence = "grant all on all sequences in schema public to ROLE;";
    const run = await headgate(["up"], withUrl(await unprivileged(url, grants + sequence)));
    expect(run.status).toBe(9);
    expect(eventOf(run, "command.failed")?.["hint"]).toMatch(/grant/i);
    expect(await seedCounts(url)).toEqual(NOTHING);
  });

  test("needs none once everything is seeded", async () => {
    const { url } = await template.copy();
    await headgate(["seed"], withUrl(url));
    const reader = await unprivileged(
      url,
      "alter role ROLE set default_transaction_read_only = on;",
    );
    for (const args of [["up"], ["seed"], ["probe", "--require-seeds"]]) {
      expect([args, (await headgate(args, withUrl(reader))).status]).toEqual([args, 0]);
    }
  });
});
