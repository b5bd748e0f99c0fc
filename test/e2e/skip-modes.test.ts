/** Migrations that are another runner's business: verify looks and writes nothing, yield does not even look. */
import { describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { tablesOf } from "../support/query.ts";
import { openStub } from "../support/stub-server.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const dir = migrationFolder({ "1_a.sql": "create table a ();" });
const grown = migrationFolder({ "1_a.sql": "create table a ();", "2_b.sql": "select 1" });
const edited = migrationFolder({ "1_a.sql": "create table a (id int);" });

const up = (url: string, env: Record<string, string>, ...args: string[]): Promise<Run> =>
  headgate(["up", "--dir", dir, ...args], withUrl(url, env));

type Mode = "off" | "verify" | "yield" | "refused";

const values: readonly [value: string, mode: Mode][] = [
  ["true", "verify"],
  ["TRUE", "verify"],
  ["1", "verify"],
  ["yes", "verify"],
  ["on", "verify"],
  ["verify", "verify"],
  ["yield", "yield"],
  ["YIELD", "yield"],
  ["", "off"],
  ["false", "off"],
  ["0", "off"],
  ["no", "off"],
  ["off", "off"],
  ["garbage", "refused"],
  ["2", "refused"],
];
const statuses = { off: 0, verify: 3, yield: 0, refused: 2 } as const;

describe("on an empty database", () => {
  test.each(values)("%p means %s, in either variable", async (value, mode) => {
    const { url } = await servers.postgres.createDatabase();
    for (const variable of ["HEADGATE_SKIP_MIGRATIONS", "MCPGATEWAY_SKIP_MIGRATIONS"]) {
      const run = await up(url, { [variable]: value });
      expect(run.status).toBe(statuses[mode]);
      expect(await tablesOf(url)).toHaveLength(mode === "off" ? 2 : 0);
      expect(eventOf(run, "migrations.yielded") !== undefined).toBe(mode === "yield");
    }
  });

  test("the flag wins over the variable, and ours over the other one", async () => {
    const { url } = await servers.postgres.createDatabase();
    const skip = { HEADGATE_SKIP_MIGRATIONS: "yield", MCPGATEWAY_SKIP_MIGRATIONS: "garbage" };
    expect((await up(url, skip)).status).toBe(0);
    expect(await tablesOf(url)).toEqual([]);
    expect((await up(url, skip, "--skip-migrations", "false")).status).toBe(0);
    expect(await tablesOf(url)).toHaveLength(2);
  });
});

describe("verify", () => {
  const verify = (url: string, folder: string, ...args: string[]): Promise<Run> =>
    headgate(["up", "--skip-migrations", "verify", "--dir", folder, ...args], withUrl(url));

  test("passes at head, and says whose the migrations are", async () => {
    const { url } = await servers.postgres.createDatabase();
    await up(url, {});
    const run = await verify(url, dir);
    expect(run.status).toBe(0);
    expect(eventOf(run, "migrations.verified")?.["msg"]).toContain("another runner's");
    expect(eventOf(run, "database.ready")).toMatchObject({ path: "skipped", applied: 0 });
    expect(run.stdout).toBe("Migrations skipped: they are another runner's\n");
  });

  const refusals: readonly [state: string, first: string, second: string, exit: number][] = [
    ["behind", dir, grown, 3],
    ["drifted", dir, edited, 5],
  ];
  test.each(refusals)(
    "refuses %s without a word to the ledger",
    async (state, first, second, exit) => {
      const { url } = await servers.postgres.createDatabase();
      await headgate(["up", "--dir", first], withUrl(url));
      const run = await verify(url, second);
      expect(run.status).toBe(exit);
      expect(eventOf(run, "command.failed")?.["code"]).toBe(state);
      expect(await tablesOf(url)).toHaveLength(2);
    },
  );

  test("accepts ahead as the policy does", async () => {
    const { url } = await servers.postgres.createDatabase();
    await headgate(["up", "--dir", grown], withUrl(url));
    expect((await verify(url, dir)).status).toBe(0);
    expect((await verify(url, dir, "--policy", "exact")).status).toBe(8);
  });
});

describe("yield", () => {
  test("makes no connection and says so in exactly one line", async () => {
    const stub = await openStub();
    const run = await up(stub.url, { HEADGATE_SKIP_MIGRATIONS: "yield" });
    await stub.close();
    expect(run).toMatchObject({ status: 0, stdout: "" });
    expect(run.stderr.trim().split("\n")).toHaveLength(1);
    expect(eventOf(run, "migrations.yielded")?.["msg"]).toContain("nothing was looked at");
    expect(stub.connections()).toBe(0);
  });

  test("needs neither a database nor a folder", async () => {
    const env = { HEADGATE_SKIP_MIGRATIONS: "yield" };
    const run = await headgate(["up", "--json", "--dir", "/nowhere"], { env });
    expect(run.status).toBe(0);
    expect(JSON.parse(run.stdout)).toEqual({ v: 1, command: "up", path: "yielded" });
  });

  test("changes no other command: probe still asks", async () => {
    const { url } = await servers.postgres.createDatabase();
    const env = { HEADGATE_SKIP_MIGRATIONS: "yield" };
    expect((await headgate(["probe", "--dir", dir], withUrl(url, env))).status).toBe(1);
  });
});
