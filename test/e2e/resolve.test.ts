/** `resolve` settles an interrupted row as a person says, and no row that is applied or alive. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { runKey } from "../../src/core/gate-key.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { holdGate, holdOpen } from "../support/lock-holder.ts";
import { buildMutant } from "../support/mutant.ts";
import { asRole, query, until } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const PLACE = { schema: "public", table: "headgate_migrations" };
const RUN = "11111111-2222-3333-4444-555555555555";
const ONE = "create table one ();";
const dir = migrationFolder({ "1_one.sql": ONE, "2_two.sql": "create table two ();" });
/** With standard_conforming_strings off, `\'` does not end the string and COMMIT is a statement. */
const COMMITTING = "create table two (); select 'a\\' , ' ; commit; select 1 --'";

const servers = useServers({ poolSize: 2 });

/** At head of `dir`, with row 2 as if its runner had stopped. */
async function interrupted(state: "failed" | "running"): Promise<string> {
  const { url } = await servers.postgres.createDatabase();
  expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
  await query(
    url,
    `update headgate_migrations set state = '${state}', error = 'why', finished_at = null, run_id = '${RUN}' where version = 2`,
  );
  expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(4);
  return url;
}

const resolve = (url: string, ...args: readonly string[]): Promise<Run> =>
  headgate(["resolve", ...args], withUrl(url));

const rowOf = async (url: string): Promise<unknown> =>
  (
    await query(
      url,
      "select state, error, finished_at is not null as finished, lease_until from headgate_migrations where version = 2",
    )
  )[0];

describe.each(["failed", "running"] as const)("a %s row of nobody", (state) => {
  test("--applied marks it applied, and the schema is at head", async () => {
    const url = await interrupted(state);
    const run = await resolve(url, "2", "--applied");
    expect(run.status).toBe(0);
    expect(run.stdout).toBe(`Resolved: the ${state} row of 2 two is marked applied\n`);
    expect(eventOf(run, "row.resolved")).toMatchObject({ version: 2, was: state });
    expect(await rowOf(url)).toEqual({
      state: "applied",
      error: null,
      finished: true,
      lease_until: null,
    });
    expect((await headgate(["probe", "--dir", dir], withUrl(url))).status).toBe(0);
  });

  test("--rolled-back deletes it, and up applies it again", async () => {
    const url = await interrupted(state);
    const run = await resolve(url, "2", "--rolled-back", "--json");
    expect(run.status).toBe(0);
    expect(JSON.parse(run.stdout)).toEqual({
      v: 1,
      command: "resolve",
      version: 2,
      name: "two",
      was: state,
      settlement: "rolled-back",
    });
    expect(await rowOf(url)).toBeUndefined();
    await query(url, "drop table two");
    expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
  });
});

test("the hint of an interrupted schema names the command, and the command works", async () => {
  const { url: original } = await servers.postgres.createDatabase();
  const role = await servers.postgres.createRole({ attributes: "superuser" });
  await query(original, `alter role ${role.user} set standard_conforming_strings = off`);
  const url = asRole(original, role);
  const bad = migrationFolder({ "1_one.sql": ONE, "2_two.sql": COMMITTING });
  const first = await headgate(["up", "--dir", bad], withUrl(url));
  expect(first.status).toBe(4);
  expect(eventOf(first, "command.failed")?.["hint"]).toContain("headgate resolve 2 --rolled-back");
  const second = await headgate(["up", "--dir", bad], withUrl(url));
  expect(eventOf(second, "command.failed")?.["hint"]).toContain("headgate resolve 2 --applied");
  await query(url, "drop table two");
  expect((await resolve(url, "2", "--rolled-back")).status).toBe(0);
  expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
});

describe("it refuses with 4, and changes nothing,", () => {
  const unchanged = async (url: string, args: readonly string[], reason: RegExp): Promise<void> => {
    const all = "select * from headgate_migrations order by version";
    const before = await query(url, all);
    const run = await resolve(url, ...args);
    expect(run.status).toBe(4);
    expect(eventOf(run, "command.failed")).toMatchObject({ code: "refused" });
    expect(String(eventOf(run, "command.failed")?.["reason"])).toMatch(reason);
    expect(await query(url, all)).toEqual(before);
  };

  test("a row that is applied or missing", async () => {
    const url = await interrupted("failed");
    await unchanged(url, ["1", "--rolled-back"], /its row is applied/);
    await unchanged(url, ["1", "--applied"], /its row is applied/);
    await unchanged(url, ["3", "--applied"], /no such row/);
  });

  test("a row whose run holds K_RUN", async () => {
    const url = await interrupted("running");
    const { namespace, ledger } = runKey(PLACE);
    const runner = await holdOpen(url, `select pg_advisory_xact_lock(${namespace}, ${ledger})`);
    await unchanged(url, ["2", "--applied"], /alive/);
    await unchanged(url, ["2", "--rolled-back"], /alive/);
    await runner.release();
    expect((await resolve(url, "2", "--applied")).status).toBe(0);
  });

  test("a row with a lease in the future, or whose run has a statement at work", async () => {
    const url = await interrupted("running");
    const lease = "update headgate_migrations set lease_until = clock_timestamp()";
    await query(url, `${lease} + interval '1 hour' where version = 2`);
    await unchanged(url, ["2", "--applied"], /alive/);
    await query(url, `${lease} - interval '1 hour' where version = 2`);
    const zombie = holdOpen(url, `/* headgate:${RUN} */ select pg_sleep(6)`);
    await until(url, "select from pg_stat_activity where query like '/* headgate:%pg_sleep(6)'");
    await unchanged(url, ["2", "--applied"], /alive/);
    await (await zombie).release();
  }, 60_000);
});

test("no ledger is refused with 4, and none is made", async () => {
  const { url } = await servers.postgres.createDatabase();
  expect((await resolve(url, "1", "--applied")).status).toBe(4);
  expect(await query(url, "select from pg_class where relname = 'headgate_migrations'")).toEqual(
    [],
  );
});

test.each(["2", "2 --applied --rolled-back", "--applied", "x --applied"])(
  "%s is usage",
  async (line) => {
    const url = "postgres://nobody@127.0.0.1:1/none";
    expect((await resolve(url, ...line.split(" "))).status).toBe(2);
  },
);

test("it waits for the gate, and gives up with 6", async () => {
  const url = await interrupted("failed");
  const holder = await holdGate(url);
  expect((await resolve(url, "2", "--applied", "--lock-wait", "300ms")).status).toBe(6);
  const waiter = start(["resolve", "2", "--applied"], withUrl(url));
  await Bun.sleep(300);
  await holder.release();
  expect((await waiter.done).status).toBe(0);
});

test("two at once through a small pool: one settles the row, the other is refused", async () => {
  const url = await interrupted("failed");
  const pooled = new URL(url);
  pooled.port = String(servers.pool.port);
  pooled.hostname = servers.pool.host;
  const runs = await Promise.all(
    ["--applied", "--applied", "--rolled-back", "--rolled-back"].map((flag) =>
      resolve(pooled.href, "2", flag),
    ),
  );
  expect(runs.map(({ status }) => status).sort()).toEqual([0, 4, 4, 4]);
}, 60_000);

describe("without the question about life, the same test is red:", () => {
  let mutant: Awaited<ReturnType<typeof buildMutant>>;
  beforeAll(async () => {
    mutant = await buildMutant({
      file: "core/resolve.ts",
      find: 'row.state === "running" && row.alive',
      replace: 'row.state === "running" && row.alive && row.version < 0',
    });
  }, 60_000);
  afterAll(() => mutant.remove());

  test("a living run's row is settled", async () => {
    const url = await interrupted("running");
    const { namespace, ledger } = runKey(PLACE);
    const runner = await holdOpen(url, `select pg_advisory_xact_lock(${namespace}, ${ledger})`);
    const run = await headgate(["resolve", "2", "--applied"], {
      ...withUrl(url),
      binary: mutant.binary,
    });
    expect(run.status).toBe(0);
    await runner.release();
  });
});
