/** Every exit status of the compiled binary, and what a failure leaves on stdout and stderr. */
import { describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { asRole, hold, query, tablesOf, until } from "../support/query.ts";
import { openStub } from "../support/stub-server.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const good = migrationFolder({ "1_a.sql": "create table a ();" });
const edited = migrationFolder({ "1_a.sql": "create table a (id int);" });
const broken = migrationFolder({ "1_a.sql": "create tabel a ();" });
const grown = migrationFolder({ "1_a.sql": "create table a ();", "2_b.sql": "select 1;" });
const sleepy = migrationFolder({ "1_a.sql": "create table a (); select pg_sleep(60);" });

/** Port 1 is never given to anybody. */
const NOBODY = "postgres://app:pw@127.0.0.1:1/db";

type Case = readonly [
  status: number,
  when: string,
  code: string,
  run: (url: string) => Promise<Run>,
];

const up = (url: string, dir: string, ...args: string[]): Promise<Run> =>
  headgate(["up", "--json", "--dir", dir, ...args], withUrl(url));

async function upTwice(url: string, first: string, second: string, ...args: string[]) {
  expect((await up(url, first)).status).toBe(0);
  return up(url, second, ...args);
}

const failures: readonly Case[] = [
  [2, "a flag is unknown", "usage", (url) => up(url, good, "--lock-wiat", "1s")],
  [2, "a setting is malformed", "config-invalid", (url) => up(url, good, "--lock-wait", "soon")],
  [2, "the URL is another database's", "config-invalid", () => up("sqlite:///x.db", good)],
  [2, "the folder is missing", "bundle-invalid", (url) => up(url, "/nowhere")],
  [3, "nothing may be applied", "behind", (url) => up(url, good, "--skip-migrations", "verify")],
  [4, "a migration is broken", "migration-failed", (url) => up(url, broken)],
  [5, "a file was edited", "drifted", (url) => upTwice(url, good, edited)],
  [
    6,
    "somebody else has the lock",
    "gate-timeout",
    async (url) => {
      const held = await hold(url, "select pg_advisory_lock(5)");
      return up(url, good, "--lock-id", "5", "--lock-wait", "300ms").finally(held.end);
    },
  ],
  [6, "--deadline passes", "deadline-passed", (url) => up(url, sleepy, "--deadline", "700ms")],
  [7, "nobody listens", "unreachable", () => headgate(["status", "--json"], withUrl(NOBODY))],
  [7, "the password is wrong", "unreachable", (url) => up(url.replace(":pw@", ":no@"), good)],
  [7, "there is no such role", "unreachable", (url) => up(url.replace("app:", "nobody:"), good)],
  [7, "there is no such database", "unreachable", (url) => up(`${url}_not`, good)],
  [
    7,
    "a privilege is missing",
    "privilege-missing",
    async (url) => up(asRole(url, await servers.postgres.createRole()), good),
  ],
  [8, "--policy exact sees more", "ahead", (url) => upTwice(url, grown, good, "--policy", "exact")],
];

describe("exit status", () => {
  test.each(failures)("%d when %s: one object, code %s", async (status, _when, code, run) => {
    const failed = await run((await servers.postgres.createDatabase()).url);
    expect(failed.status).toBe(status);
    expect(failed.stdout.trim().split("\n")).toHaveLength(1);
    const object = JSON.parse(failed.stdout);
    expect(object).toMatchObject({ v: 1, error: { code }, exit_status: status });
    expect(object.error.message).toStartWith("Cannot ");
    expect(eventOf(failed, "command.failed")).toMatchObject({ level: "error", code });
    expect(failed.stderr.trim().split("\n")).toHaveLength(failed.events.length);
  });

  test("0 when it is done, and stdout is one object", async () => {
    const { url } = await servers.postgres.createDatabase();
    const first = await up(url, grown);
    expect(first.status).toBe(0);
    expect(JSON.parse(first.stdout)).toMatchObject({
      v: 1,
      command: "up",
      path: "slow",
      head: 2,
      applied: [{ version: 1, name: "a" }, { version: 2 }],
    });
    expect(eventOf(first, "database.ready")).toMatchObject({ path: "slow", applied: 2 });
    const second = await up(url, grown);
    expect(second.status).toBe(0);
    expect(JSON.parse(second.stdout)).toMatchObject({ path: "fast", applied: [] });
  });

  test("without --json a failure leaves stdout empty", async () => {
    const { url } = await servers.postgres.createDatabase();
    const failed = await headgate(["up", "--dir", broken], withUrl(url));
    expect(failed.status).toBe(4);
    expect(failed.stdout).toBe("");
    expect(eventOf(failed, "command.failed")).toMatchObject({ exit_status: 4 });
  });
});

const signals = [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const;

/** Both at once: each waits for a server that only now and then looks at its clients. */
const eachSignal = (
  check: (name: NodeJS.Signals, status: number) => Promise<void>,
): Promise<unknown> => Promise.all(signals.map(([name, status]) => check(name, status)));

describe("SIGINT is 130 and SIGTERM 143", () => {
  test("during a migration, and nothing of it stays", async () => {
    await eachSignal(async (name, status) => {
      const { url } = await servers.postgres.createDatabase();
      const run = start(["up", "--dir", sleepy], withUrl(url));
      const asleep = `select from pg_stat_activity
where wait_event = 'PgSleep' and datname = current_database()`;
      await until(url, asleep);
      run.kill(name);
      expect(await run.done).toMatchObject({ status, stdout: "" });
      await until(url, `select where not exists (${asleep})`);
      expect(await tablesOf(url)).toEqual([]);
    });
  });

  test("while up waits for its turn", async () => {
    await eachSignal(async (name, status) => {
      const { url } = await servers.postgres.createDatabase();
      const held = await hold(url, "select pg_advisory_lock(5)");
      const run = start(["up", "--dir", good, "--lock-id", "5"], withUrl(url));
      const connected = `select from pg_stat_activity
where application_name = 'headgate' and datname = current_database()`;
      await until(url, connected);
      run.kill(name);
      expect((await run.done).status).toBe(status);
      await held.end();
      expect(await tablesOf(url)).toEqual([]);
    });
  });

  test("while the server does not answer, and soon", async () => {
    await eachSignal(async (name, status) => {
      const stub = await openStub();
      const run = start(["up", "--dir", good, "--connect-timeout", "60s"], withUrl(stub.url));
      while (stub.connections() === 0) await Bun.sleep(10);
      run.kill(name);
      const ended = await run.done;
      await stub.close();
      expect(ended.status).toBe(status);
      expect(ended.wallMs).toBeLessThan(10_000);
    });
  });
});

describe("probe answers 1", () => {
  const cases: readonly [when: string, args: readonly string[], env: Record<string, string>][] = [
    ["a flag is unknown", ["probe", "--bogus"], {}],
    ["a flag before the command is unknown", ["--timeout", "1s", "probe", "--bogus"], {}],
    ["an alias meets an unknown flag", ["check", "--bogus"], {}],
    ["a flag's value is missing", ["probe", "--timeout"], {}],
    ["a flag's value is malformed", ["probe", "--timeout", "soon"], {}],
    ["there is an argument too many", ["probe", "now"], {}],
    ["no database is named", ["probe"], {}],
    ["the URL is another database's", ["probe"], { DATABASE_URL: "sqlite:///x.db" }],
    ["a variable is malformed", ["probe"], { DATABASE_URL: NOBODY, HEADGATE_POLICY: "lax" }],
    ["nobody listens", ["probe"], { DATABASE_URL: NOBODY }],
    ["the host has no address", ["probe"], { DATABASE_URL: "postgres://a:b@no.invalid/db" }],
    ["the folder is missing", ["probe", "--dir", "/nowhere"], { DATABASE_URL: NOBODY }],
    ["a file of settings is missing", ["probe", "--env-file", "/nowhere"], {}],
  ];
  test.each(cases)("when %s", async (_when, args, env) => {
    const run = await headgate(args, { env });
    expect(run.status).toBe(1);
    expect(run.stdout).toBe("");
    expect(run.stderr.trim().split("\n")).toHaveLength(1);
    expect(eventOf(run, "probe.not-ready")?.["reason"]).toBeString();

    const json = await headgate([...args, "--json"], { env });
    expect(json.status).toBe(1);
    expect(json.stderr).toBe("");
    expect(JSON.parse(json.stdout)).toMatchObject({ v: 1, command: "probe" });
  });

  test.each(signals)("when %s ends it midway, whose own status would be %d", async (name) => {
    const stub = await openStub();
    const flags = ["--timeout", "60s", "--connect-timeout", "60s"];
    const run = start(["probe", ...flags], withUrl(stub.url));
    while (stub.connections() === 0) await Bun.sleep(10);
    run.kill(name);
    expect((await run.done).status).toBe(1);
    await stub.close();
  });

  test("and 0 only to --help, which asks no database", async () => {
    for (const args of [
      ["probe", "--help"],
      ["check", "--help"],
      ["probe", "-h"],
    ]) {
      const run = await headgate(args);
      expect(run.status).toBe(0);
      expect(run.stdout).toContain("Usage: headgate probe");
    }
  });
});

test("status answers 0 unless it is asked for its exit code", async () => {
  const { url } = await servers.postgres.createDatabase();
  await query(url, "select 1");
  const run = (...args: string[]) => headgate(["status", "--dir", good, ...args], withUrl(url));
  expect((await run()).status).toBe(0);
  expect((await run("--exit-code")).status).toBe(3);
});
