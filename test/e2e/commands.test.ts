/** What the flags of up, plan, down and version do to a real database. */
import { describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { hold, query, tablesOf } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const LEDGER = "public.headgate_migrations";
const part = (name: string): string =>
  `-- migrate:up\ncreate table ${name} (id int);\n-- migrate:down\ndrop table ${name};\n`;
const ONE = { "1_a.sql": part("a") };
const TWO = { ...ONE, "2_b.sql": part("b") };
const THREE = { ...TWO, "3_c.sql": part("c") };
const three = migrationFolder(THREE);

type Ask = (...args: string[]) => Promise<Run>;

/** A fresh database, and headgate asked about it. */
async function open(dir = three): Promise<{ url: string; ask: Ask }> {
  const { url } = await servers.postgres.createDatabase();
  return { url, ask: (...args) => headgate([...args, "--dir", dir], withUrl(url)) };
}

const said = (run: Run): string => String(eventOf(run, "command.failed")?.["reason"]);
const jsonOf = (run: Run): Record<string, unknown> => JSON.parse(run.stdout);
const versionsOf = async (url: string): Promise<number[]> =>
  (await query(url, "select version from headgate_migrations order by 1")).map((row) =>
    Number(row["version"]),
  );

describe("up", () => {
  test("--to applies nothing above, says so each time, and later the rest", async () => {
    const { url, ask } = await open();
    expect(jsonOf(await ask("up", "--to", "2", "--json"))).toMatchObject({ head: 2, path: "slow" });
    expect(await versionsOf(url)).toEqual([1, 2]);
    expect(jsonOf(await ask("up", "--to", "2", "--json"))).toMatchObject({ applied: [] });
    expect((await ask("probe")).status).toBe(1);
    expect((await ask("up")).status).toBe(0);
    expect(await versionsOf(url)).toEqual([1, 2, 3]);
    expect((await ask("up", "--to", "1")).status).toBe(0);
    expect(await versionsOf(url)).toEqual([1, 2, 3]);
  });

  const brokenThird = migrationFolder({ ...TWO, "3_c.sql": "create table c (); select 1/0;" });
  test.each([
    ["without --atomic keeps what came before a failure", [], ["public.a", "public.b", LEDGER]],
    ["--atomic keeps nothing", ["--atomic"], []],
  ])("%s", async (_what, args, tables) => {
    const { url, ask } = await open(brokenThird);
    const run = await ask("up", ...args);
    expect(run.status).toBe(4);
    expect(said(run)).toContain("3_c.sql");
    expect(await tablesOf(url)).toEqual([...tables]);
  });

  test("--atomic applies all in one transaction", async () => {
    const { url, ask } = await open();
    expect((await ask("up", "--atomic")).status).toBe(0);
    const rows = await query(url, "select distinct xmin::text from headgate_migrations");
    expect(rows).toHaveLength(1);
    expect(await versionsOf(url)).toEqual([1, 2, 3]);
  });

  test("is migrate, and probe is check", async () => {
    const { ask } = await open();
    expect((await ask("check")).status).toBe(1);
    expect(jsonOf(await ask("migrate", "--json", "--lock-wait", "5s"))).toMatchObject({
      command: "up",
      applied: [{ version: 1 }, { version: 2 }, { version: 3 }],
    });
    expect(jsonOf(await ask("check", "--json", "--timeout", "5s"))).toMatchObject({ ready: true });
  });
});

describe("plan", () => {
  test("shows what up would do, writes nothing and takes no lock", async () => {
    const { url, ask } = await open();
    const text = await ask("plan");
    expect(text.status).toBe(0);
    for (const file of Object.keys(THREE)) expect(text.stdout).toContain(`-- ${file} (sha256 `);
    expect(text.stdout).toContain("create table c (id int);");
    expect(text.stdout).not.toContain("drop table");
    expect(await tablesOf(url)).toEqual([]);

    expect((await ask("up", "--to", "1")).status).toBe(0);
    const held = await hold(
      url,
      "begin; lock table headgate_migrations in share row exclusive mode",
    );
    const json = await ask("plan", "--json", "--to", "2");
    await held.end();
    expect(jsonOf(json)).toMatchObject({
      v: 1,
      command: "plan",
      waits: false,
      pending: [{ version: 2, name: "b", sql: expect.stringContaining("create table b") }],
    });
    expect(jsonOf(json)["pending"]).toHaveLength(1);
    expect((await ask("up")).status).toBe(0);
    expect((await ask("plan")).stdout).toBe("-- Nothing to do\n");
  });
});

describe("down", () => {
  test("reverts one, then N, newest first, and up goes up again", async () => {
    const { url, ask } = await open();
    expect((await ask("up")).status).toBe(0);
    expect(jsonOf(await ask("down", "--json"))).toMatchObject({
      reverted: [{ version: 3 }],
      at: 2,
    });
    expect(await tablesOf(url)).toEqual(["public.a", "public.b", LEDGER]);
    expect(await versionsOf(url)).toEqual([1, 2]);
    expect((await ask("up")).status).toBe(0);

    const two = await ask("down", "2");
    const reverted = two.events.filter(({ event }) => event === "migration.reverted");
    expect(reverted.map(({ version }) => version)).toEqual([3, 2]);
    expect(await versionsOf(url)).toEqual([1]);
    expect((await ask("down", "10")).status).toBe(0);
    expect(await tablesOf(url)).toEqual([LEDGER]);
    const nothing = await ask("down");
    expect(nothing).toMatchObject({ status: 0, stdout: "Nothing to revert\n" });
    expect((await ask("up")).status).toBe(0);
    expect((await ask("probe")).status).toBe(0);
  });

  test("touches nothing when one of them has no down part", async () => {
    const { url, ask } = await open(migrationFolder({ ...THREE, "2_b.sql": "create table b ();" }));
    expect((await ask("up")).status).toBe(0);
    const run = await ask("down", "2");
    expect(run.status).toBe(2);
    expect(said(run)).toContain("2_b.sql: it has no down part");
    expect(await versionsOf(url)).toEqual([1, 2, 3]);
    expect((await ask("down")).status).toBe(0);
  });

  test.each([
    ["ahead", migrationFolder(TWO), 8],
    ["drifted", migrationFolder({ ...THREE, "1_a.sql": part("z") }), 5],
  ])("refuses an %s ledger and touches nothing", async (_state, dir, exit) => {
    const { url, ask } = await open();
    expect((await ask("up")).status).toBe(0);
    expect((await headgate(["down", "--dir", dir], withUrl(url))).status).toBe(exit);
    expect(await versionsOf(url)).toEqual([1, 2, 3]);
  });

  test("has nothing to do on a database without a ledger, and makes none", async () => {
    const { url, ask } = await open();
    expect((await ask("down")).status).toBe(0);
    expect(await tablesOf(url)).toEqual([]);
  });
});

test("version names version, commit and bundle, and asks no database", async () => {
  const run = await headgate(["version", "--json", "--dir", three]);
  expect(run.status).toBe(0);
  expect(jsonOf(run)).toMatchObject({
    v: 1,
    command: "version",
    version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    commit: expect.any(String),
    bundle: { head: 3, size: 3, fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) },
  });
  const embedded = await headgate(["--version"]);
  expect(embedded.stdout).toStartWith(`headgate ${jsonOf(run)["version"]} (`);
});

test("a migration marked breaking stops the binary that does not know it", async () => {
  const newer = migrationFolder({ ...THREE, "4_d.sql": "-- headgate: breaking:true\nselect 1;" });
  const { url, ask: askOlder } = await open();
  const askNewer: Ask = (...args) => headgate([...args, "--dir", newer], withUrl(url));
  expect((await askNewer("up")).status).toBe(0);
  expect((await askNewer("probe")).status).toBe(0);
  expect((await askOlder("probe")).status).toBe(1);
  expect((await askOlder("up")).status).toBe(8);
});

describe("options and SET LOCAL of a body", () => {
  test("lock_timeout and statement_timeout are in force there, and only there", async () => {
    const show = `select current_setting('lock_timeout') as l, current_setting('statement_timeout') as s`;
    const files = {
      "1_a.sql": `-- headgate: lock_timeout:1234ms statement_timeout:56s\ncreate table a as ${show};`,
      "2_b.sql": `create table b as ${show};`,
    };
    const { url, ask } = await open(migrationFolder(files));
    expect((await ask("up")).status).toBe(0);
    expect(await query(url, "select l, s from a")).toEqual([{ l: "1234ms", s: "56s" }]);
    expect(await query(url, "select l, s from b")).toEqual([{ l: "3s", s: "0" }]);
  });

  test("a statement_timeout that passes is a failed migration", async () => {
    const sql = "-- headgate: statement_timeout:200ms\ncreate table a (); select pg_sleep(30);";
    const { url, ask } = await open(migrationFolder({ "1_a.sql": sql }));
    const run = await ask("up");
    expect(run.status).toBe(4);
    expect(said(run)).toContain("57014");
    expect(await tablesOf(url)).toEqual([]);
  });

  test("role and search path do not decide who writes the ledger row, and where", async () => {
    const role = await servers.postgres.createRole();
    const sql = `set local search_path = side; set local role ${role.user}; create table mine ();`;
    const { url, ask } = await open(migrationFolder({ "1_a.sql": sql, "2_b.sql": "select 1" }));
    await query(url, `create schema side; grant all on schema side to ${role.user}`);
    expect((await ask("up")).status).toBe(0);
    expect(await tablesOf(url)).toEqual([LEDGER, "side.mine"]);
    expect(await versionsOf(url)).toEqual([1, 2]);
    expect((await query(url, "select applied_by from headgate_migrations"))[0]).toEqual({
      applied_by: expect.stringMatching(/^app@/),
    });
  });
});

test("--lock-id waits for another tool's session lock and names its pid; without it up passes", async () => {
  const { url, ask } = await open();
  const held = await hold(url, "select pg_advisory_lock(42424242424242)");
  const blocked = await ask("up", "--lock-id", "42424242424242", "--lock-wait", "1s");
  expect(blocked.status).toBe(6);
  expect(said(blocked)).toContain(`pid ${held.pid} holds the lock of --lock-id`);
  expect(await tablesOf(url)).toEqual([]);
  expect((await ask("up")).status).toBe(0);
  await held.end();
  expect((await ask("down", "--lock-id", "42424242424242")).status).toBe(0);
});
