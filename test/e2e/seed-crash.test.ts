/**
 * Seeding that dies in the middle. Whatever ends it, migrations stay, no other session ever sees half of
 * the rows, and the next `up` writes them all.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { argon2Verify } from "hash-wasm";
import { stepKey } from "../../src/core/gate-key.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type RunOptions, start, withUrl } from "../support/headgate.ts";
import { type Holder, holdOpen } from "../support/lock-holder.ts";
import { buildMutant } from "../support/mutant.ts";
import { hold, query, until } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { useServers } from "../support/use-servers.ts";

const PATIENCE_MS = 60_000;
const EMBEDDED = join(import.meta.dirname, "../../migrations");
/** What a hash costs is no concern here. */
const CHEAP = { ARGON2ID_TIME_COST: "1", ARGON2ID_MEMORY_COST: "64" };

/** Rows by table, in the order in which they are written. */
const SEEDED = {
  email_users: 1,
  email_auth_events: 1,
  roles: 5,
  email_teams: 1,
  email_team_members: 1,
  email_team_member_history: 1,
  user_roles: 2,
  headgate_seeds: 1,
} as const;
type Table = keyof typeof SEEDED;
const TABLES = Object.keys(SEEDED) as readonly Table[];
const NOTHING: Readonly<Record<string, number>> = Object.fromEntries(
  TABLES.map((table) => [table, 0]),
);
/** Written after the account, and so after the file with its password. */
const BEHIND_THE_ACCOUNT = TABLES.slice(2);

const servers = useServers({ poolSize: 2 });

async function rowsOf(url: string): Promise<Readonly<Record<string, number>>> {
  const found = await query(url, "select tablename::text as name from pg_tables");
  const there = new Set(found.map((row) => row["name"]));
  const counts = TABLES.map((table) =>
    there.has(table) ? `(select count(*)::int from ${table}) as ${table}` : `0 as ${table}`,
  );
  const [row] = await query(url, `select ${counts.join(", ")}`);
  return { ...row };
}

interface Stage {
  /** Past any pooler. */
  readonly url: string;
  readonly file: string;
  readonly args: readonly string[];
}

/** A database at head in which nothing is seeded. */
async function atHead(): Promise<Stage> {
  const { url } = await servers.postgres.createDatabase();
  expect((await headgate(["up", "--seed", "none"], withUrl(url))).status).toBe(0);
  const file = join(createScratchFolder("password"), "password");
  return { url, file, args: ["up", "--generated-password-file", file] };
}

const cheaply = (url: string): RunOptions => withUrl(url, CHEAP);

/** Readers get past it, and the seeder stops at its first write to the table. */
function holdTable(url: string, table: Table): Promise<Holder> {
  const isMadeBySeeding = table === "headgate_seeds";
  return holdOpen(
    url,
    isMadeBySeeding ? `create table ${table} ()` : `lock table ${table} in share mode`,
  );
}

const stoppedBy = ({ pid }: Holder): string =>
  `from pg_stat_activity where ${pid} = any (pg_blocking_pids(pid))`;
const NO_ADVISORY_LOCK = `select where not exists (
  select from pg_locks where locktype = 'advisory'
  and database = (select oid from pg_database where datname = current_database()))`;

async function fits(url: string, file: string): Promise<boolean> {
  const [row] = await query(url, "select password_hash as hash from email_users");
  return argon2Verify({ password: readFileSync(file, "utf8"), hash: String(row?.["hash"]) });
}

async function expectConverges({ url, file, args }: Stage): Promise<void> {
  const run = await headgate(args, cheaply(url));
  expect(run).toMatchObject({ status: 0 });
  expect(await rowsOf(url)).toEqual(SEEDED);
  expect(await fits(url, file)).toBe(true);
  await until(url, NO_ADVISORY_LOCK, PATIENCE_MS);
}

/** The embedded migrations, and one more that takes as long as somebody holds its key. */
function withLastMigration(key: number): string {
  const files = readdirSync(EMBEDDED).filter((file) => file.endsWith(".sql"));
  const texts = files.map((file) => [file, readFileSync(join(EMBEDDED, file), "utf8")]);
  return migrationFolder({
    ...(Object.fromEntries(texts) as Record<string, string>),
    "9999_waits.sql": `set local lock_timeout = 0;\nselect pg_advisory_xact_lock(${key});\n`,
  });
}

const waitersFor = (key: number): string =>
  `select from pg_locks where locktype = 'advisory' and objid = ${key} and not granted`;

test("a runner killed between its migrations and its seeds leaves the seeds to the next run's fast path", async () => {
  const { url } = await servers.postgres.createDatabase();
  const up = ["up", "--dir", withLastMigration(7)];
  const brake = await holdOpen(url, "select pg_advisory_xact_lock(7)");
  const victim = start(up, withUrl(url));
  await until(url, waitersFor(7), PATIENCE_MS);
  // In the queue before the last migration ends: the gate is handed on before the seeder can try it.
  const { namespace, ledger } = stepKey({ schema: "public", table: "headgate_migrations" });
  const gate = hold(url, `begin; select pg_advisory_xact_lock(${namespace}, ${ledger})`);
  await until(
    url,
    "select from pg_locks where locktype = 'advisory' and objsubid = 2 and not granted",
  );
  await brake.release();
  await until(url, "select from headgate_migrations where version = 9999", PATIENCE_MS);
  victim.kill("SIGKILL");
  expect(eventOf(await victim.done, "database.ready")).toBeUndefined();
  await (await gate).end();
  expect(await rowsOf(url)).toEqual(NOTHING);

  const mutant = await buildMutant({
    file: "flow/up.ts",
    find: "seeds: await seeds(first.opened) };",
    replace: "seeds: undefined };",
  });
  const forgetful = await headgate(up, { ...withUrl(url), binary: mutant.binary });
  mutant.remove();
  expect([forgetful.status, await rowsOf(url)]).toEqual([0, NOTHING]);

  const again = await headgate(up, withUrl(url));
  expect(again.status).toBe(0);
  expect(eventOf(again, "database.ready")?.["path"]).toBe("fast");
  expect(await rowsOf(url)).toEqual(SEEDED);
}, 120_000);

test.concurrent.each(TABLES)(
  "a seeder killed at its first row of %s leaves nothing, and its lock is gone before the other's",
  async (table) => {
    const stage = await atHead();
    const holder = await holdTable(stage.url, table);
    const victim = start(stage.args, cheaply(stage.url));
    await until(stage.url, `select ${stoppedBy(holder)}`, PATIENCE_MS);
    victim.kill("SIGKILL");
    await victim.done;
    await until(stage.url, NO_ADVISORY_LOCK, PATIENCE_MS);
    expect(await rowsOf(stage.url)).toEqual(NOTHING);
    await holder.release();
    await expectConverges(stage);
  },
  120_000,
);

test.concurrent.each(["email_users", "roles", "headgate_seeds"] as const)(
  "through a pool of 2, one killed at %s leaves nothing either",
  async (table) => {
    const stage = await atHead();
    const pooled = servers.pool.urlOf({ name: "", url: stage.url });
    const holder = await holdTable(stage.url, table);
    const victim = start(stage.args, cheaply(pooled));
    await until(stage.url, `select ${stoppedBy(holder)}`, PATIENCE_MS);
    victim.kill("SIGKILL");
    await victim.done;
    await until(stage.url, NO_ADVISORY_LOCK, PATIENCE_MS);
    expect(await rowsOf(stage.url)).toEqual(NOTHING);
    await holder.release();
    const again = await headgate(stage.args, cheaply(pooled));
    expect([again.status, await rowsOf(stage.url)]).toEqual([0, SEEDED]);
    expect(await fits(stage.url, stage.file)).toBe(true);
  },
  120_000,
);

test("a seeder that commits row by row is seen half-done", async () => {
  const stage = await atHead();
  const mutant = await buildMutant({
    file: "db/savepoint.ts",
    find: 'connection.run("release savepoint one_row")',
    replace: 'connection.run("release savepoint one_row; commit; begin")',
  });
  const holder = await holdTable(stage.url, "user_roles");
  const victim = start(stage.args, { ...cheaply(stage.url), binary: mutant.binary });
  await until(stage.url, `select ${stoppedBy(holder)}`, PATIENCE_MS);
  victim.kill("SIGKILL");
  await victim.done;
  mutant.remove();
  expect(await rowsOf(stage.url)).toEqual({
    ...SEEDED,
    // No savepoint follows it.
    email_team_member_history: 0,
    user_roles: 0,
    headgate_seeds: 0,
  });
  await holder.release();
}, 120_000);

test.concurrent.each(TABLES)(
  "a seeder told to stop at its first row of %s exits 143 and takes its password back",
  async (table) => {
    const stage = await atHead();
    const holder = await holdTable(stage.url, table);
    const victim = start(stage.args, cheaply(stage.url));
    await until(stage.url, `select ${stoppedBy(holder)}`, PATIENCE_MS);
    // Taken back between two tries too, so it may have to be waited for.
    if (BEHIND_THE_ACCOUNT.includes(table)) while (!existsSync(stage.file)) await Bun.sleep(10);
    else expect(existsSync(stage.file)).toBe(false);
    victim.kill("SIGTERM");
    const { status, stdout, stderr } = await victim.done;
    expect([status, stdout]).toEqual([143, ""]);
    expect(stderr).toContain("stopped by SIGTERM");
    expect(existsSync(stage.file)).toBe(false);
    expect(await rowsOf(stage.url)).toEqual(NOTHING);
    await until(stage.url, NO_ADVISORY_LOCK, PATIENCE_MS);
    await holder.release();
    await expectConverges(stage);
  },
  120_000,
);

test("a lock that is not got in time rolls the rows back and is tried again", async () => {
  const stage = await atHead();
  const holder = await holdTable(stage.url, "user_roles");
  const runner = start(stage.args, cheaply(stage.url));
  for (const _ of [1, 2]) {
    await until(stage.url, `select ${stoppedBy(holder)}`, PATIENCE_MS);
    await until(stage.url, `select where not exists (select ${stoppedBy(holder)})`, PATIENCE_MS);
    expect(await rowsOf(stage.url)).toEqual(NOTHING);
  }
  await holder.release();
  const run = await runner.done;
  expect([run.status, eventOf(run, "step.retried")?.["sqlstate"]]).toEqual([0, "55P03"]);
  expect(await rowsOf(stage.url)).toEqual(SEEDED);
  expect(await fits(stage.url, stage.file)).toBe(true);
}, 120_000);

test.concurrent.each(TABLES)(
  "a seeder whose backend is terminated at its first row of %s starts over and ends well",
  async (table) => {
    const stage = await atHead();
    const holder = await holdTable(stage.url, table);
    const runner = start([...stage.args, "--json"], cheaply(stage.url));
    await until(stage.url, `select pg_terminate_backend(pid) ${stoppedBy(holder)}`, PATIENCE_MS);
    expect(await rowsOf(stage.url)).toEqual(NOTHING);
    await holder.release();
    const run = await runner.done;
    expect([run.status, eventOf(run, "connection.lost")]).toEqual([0, expect.anything()]);
    const { seeds } = JSON.parse(run.stdout) as { seeds: { changes: unknown[]; password: string } };
    expect([seeds.changes.length, seeds.password]).toEqual([11, "generated"]);
    expect(await rowsOf(stage.url)).toEqual(SEEDED);
    expect(await fits(stage.url, stage.file)).toBe(true);
  },
  120_000,
);

test("a lock that is never got ends in exit 9 with the reason, no row and no password", async () => {
  const stage = await atHead();
  const holder = await holdTable(stage.url, "roles");
  const run = await headgate([...stage.args, "--lock-wait", "1s"], cheaply(stage.url));
  await holder.release();
  expect(run.status).toBe(9);
  const failed = eventOf(run, "command.failed");
  expect(failed?.["reason"]).toContain("Cannot seed, while the migrations are done");
  expect(failed?.["reason"]).toContain("55P03");
  expect([await rowsOf(stage.url), existsSync(stage.file)]).toEqual([NOTHING, false]);
  await expectConverges(stage);
}, 120_000);

test.each(["fast", "immediate"] as const)(
  "a server that restarts in the middle of seeding (%s) costs no row",
  async (mode) => {
    const stage = await atHead();
    const holder = await holdTable(stage.url, "roles");
    const runner = start(stage.args, cheaply(stage.url));
    await until(stage.url, `select ${stoppedBy(holder)}`, PATIENCE_MS);
    await servers.postgres.restart(mode);
    await holder.release().catch(() => undefined);
    const run = await runner.done;
    if (run.status !== 0) {
      expect(run.status).toBe(9);
      expect(eventOf(run, "command.failed")?.["reason"]).toContain("Cannot reach the database");
      expect(await rowsOf(stage.url)).toEqual(NOTHING);
    }
    expect(eventOf(run, "connection.lost")).toBeDefined();
    await expectConverges(stage);
    expect((await headgate(["probe", "--require-seeds"], withUrl(stage.url))).status).toBe(0);
  },
  120_000,
);
