/** `doctor` finds what was made wrong on purpose, each thing once, and says nothing of it before. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Finding } from "../../src/core/doctor.ts";
import { runKey } from "../../src/core/gate-key.ts";
import { migrationFolder } from "../support/folder.ts";
import { headgate, type Run, type RunOptions, withUrl } from "../support/headgate.ts";
import { holdOpen } from "../support/lock-holder.ts";
import { buildMutant } from "../support/mutant.ts";
import { asRole, hold, query, until } from "../support/query.ts";
import type { Database, PgbouncerOptions } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const RUN = "11111111-2222-3333-4444-555555555555";
const PLACE = { schema: "public", table: "headgate_migrations" };
const dir = migrationFolder({ "1_one.sql": "create table one (id int);" });

const servers = useServers({ poolSize: 3 });

interface Report {
  readonly run: Run;
  readonly findings: readonly Finding[];
  readonly of: (check: string) => readonly Finding[];
}

async function doctor(options: RunOptions, folder: string = dir): Promise<Report> {
  const run = await headgate(["doctor", "--json", "--dir", folder], options);
  const { findings } = JSON.parse(run.stdout) as { findings: readonly Finding[] };
  for (const finding of findings) {
    expect(Object.values(finding).every((text) => text.length > 0)).toBe(true);
    expect(finding.what).not.toStartWith("not checked");
  }
  const hasError = findings.some(({ severity }) => severity === "error");
  expect(run.status).toBe(hasError ? 4 : 0);
  return { run, findings, of: (check) => findings.filter((each) => each.check === check) };
}

async function atHead(): Promise<Database> {
  const database = await servers.postgres.createDatabase();
  expect((await headgate(["up", "--dir", dir], withUrl(database.url))).status).toBe(0);
  return database;
}

/** Only notes that every test server gives. */
const EVERYWHERE: ReadonlySet<string> = new Set(["pooler", "tls", "settings"]);

describe("of a healthy schema", () => {
  test("directly: exit 0, a direct way, nothing but notes", async () => {
    const { url } = await atHead();
    const { findings, of, run } = await doctor(withUrl(url));
    expect(run.status).toBe(0);
    expect(of("pooler")).toMatchObject([
      { severity: "note", what: expect.stringContaining("the server itself") },
    ]);
    expect(findings.filter(({ check }) => !EVERYWHERE.has(check))).toEqual([]);
    expect(findings.filter(({ severity }) => severity !== "note")).toEqual([]);
  });

  test("as text: severity, why, what to do, and a count", async () => {
    const { url } = await atHead();
    const { stdout, status } = await headgate(["doctor", "--dir", dir], withUrl(url));
    expect(status).toBe(0);
    expect(stdout).toMatch(/^note {5}pooler: DATABASE_URL leads to the server itself/m);
    expect(stdout).toMatch(/\n {9}why: .*\n {9}do: {2}None needed\n/);
    expect(stdout).toMatch(/\n0 errors, 0 warnings, \d+ notes\n$/);
  });

  test("it writes nothing and leaves no lock and no setting", async () => {
    const { url } = await servers.postgres.createDatabase();
    await doctor(withUrl(url));
    const left = "select from pg_class where relname like 'headgate%'";
    expect(await query(url, left)).toEqual([]);
    expect(await query(url, "select from pg_locks where locktype = 'advisory'")).toEqual([]);
  });

  test("nobody answers: exit 7", async () => {
    const run = await headgate(["doctor"], withUrl("postgres://a@127.0.0.1:1/b"));
    expect(run.status).toBe(7);
  });
});

describe("of poolers", () => {
  /** What each pooler makes of doctor. All at once: a pool with place for it is watched for 6 s. */
  const poolers = {
    plain: {},
    resetting: { settings: { server_reset_query_always: "1" } },
    session: { poolMode: "session", poolSize: 3 },
    one: { poolSize: 1 },
    two: { poolSize: 2 },
    three: { poolSize: 3 },
    impatient: { settings: { idle_transaction_timeout: "3" } },
    tolerant: {
      settings: {
        ignore_startup_parameters: "extra_float_digits, options, search_path, statement_timeout",
      },
    },
  } satisfies Readonly<Record<string, PgbouncerOptions>>;
  type Name = keyof typeof poolers;
  let reports: ReadonlyMap<string, Report>;
  const of = (name: Name, check: string): readonly Finding[] => reports.get(name)?.of(check) ?? [];
  const pooledWith = (check: string): readonly string[] =>
    [...reports.keys()].filter((name) => of(name as Name, check).length > 0);

  beforeAll(async () => {
    const { url, name } = await atHead();
    const visit = async ([key, options]: [string, PgbouncerOptions]): Promise<[string, Report]> => {
      const pool = await servers.substrate.pgbouncer(servers.postgres, options);
      const report = await doctor(withUrl(pool.urlOf({ url, name })));
      await pool.stop();
      return [key, report];
    };
    reports = new Map(await Promise.all(Object.entries(poolers).map(visit)));
  }, 120_000);

  test("transaction mode is proven, and so is the leak of a SET, which is taken back", async () => {
    expect(of("plain", "pooler")[0]?.what).toContain("pools transactions");
    expect(of("plain", "settings-leak")).toMatchObject([{ severity: "warning" }]);
    const database = await atHead();
    await doctor(withUrl(servers.pool.urlOf(database)));
    const seen = await query(
      servers.pool.urlOf(database),
      "select current_setting('headgate.probe', true) as probe",
    );
    expect(seen[0]?.["probe"]).toBeOneOf([null, ""]);
  }, 30_000);

  test("with server_reset_query_always nothing leaks, and other tools' session locks go", () => {
    expect(of("resetting", "pooler")[0]?.what).toContain("pools transactions");
    expect(of("resetting", "settings-leak")).toEqual([]);
    expect(of("resetting", "session-reset")).toMatchObject([{ severity: "note" }]);
    expect(pooledWith("session-reset")).toEqual(["resetting"]);
  });

  test("session mode is a pooler of unproven mode, and no leak is claimed", () => {
    expect(of("session", "pooler")[0]?.what).toContain("unproven");
    expect(of("session", "settings-leak").map(({ severity }) => severity)).toEqual(["note"]);
  });

  test("a pool of one is answered too", () => {
    expect(of("one", "pooler")[0]?.what).toContain("pools transactions");
  });

  test("a pool with too few places for an index build is named, with how many it has", () => {
    expect(pooledWith("pool-size")).toEqual(["one", "two"]);
    expect(of("one", "pool-size")[0]?.what).toContain("place for 1 open transaction,");
    expect(of("two", "pool-size")[0]?.what).toContain("place for 2 open transactions,");
    expect(of("two", "pool-size")).toMatchObject([{ severity: "warning" }]);
  });

  test("a limit on idle transactions that would end a run's sign of life is named", () => {
    expect(pooledWith("pool-idle")).toEqual(["impatient"]);
    expect(of("impatient", "pool-idle")[0]?.remedy).toContain("idle_transaction_timeout = 0");
  });

  test("refused startup parameters are named, and the remedy cures it", () => {
    const [finding] = of("plain", "startup-parameters");
    expect(finding?.what).toContain("search_path");
    expect(finding?.remedy).toContain("ignore_startup_parameters = ");
    expect(of("tolerant", "startup-parameters")).toEqual([]);
  });

  test("statement mode is an error on the gate's way, and none beside it", async () => {
    const database = await atHead();
    const pool = await servers.substrate.pgbouncer(servers.postgres, { poolMode: "statement" });
    const DATABASE_URL = pool.urlOf(database);
    const { of: found } = await doctor({ env: { DATABASE_URL } });
    expect(found("pooler")).toMatchObject([{ severity: "error" }]);
    expect([...found("pool-size"), ...found("pool-idle")]).toEqual([]);
    const beside = await doctor({ env: { DATABASE_URL, MIGRATION_DATABASE_URL: database.url } });
    expect(beside.of("pooler").map(({ severity }) => severity)).toEqual(["note", "note"]);
    await pool.stop();
  }, 30_000);
});

describe("of settings", () => {
  const table: readonly [name: string, value: string, severity: Finding["severity"]][] = [
    ["default_transaction_read_only", "on", "error"],
    ["statement_timeout", "'5min'", "warning"],
    ["lock_timeout", "'5s'", "warning"],
    ["idle_session_timeout", "'10min'", "warning"],
    ["transaction_timeout", "'10min'", "warning"],
    ["idle_in_transaction_session_timeout", "'10min'", "note"],
    ["default_transaction_isolation", "'serializable'", "note"],
  ];
  test.each(table)(
    "%s = %s on the role is a %s, and its remedy cures it",
    async (name, value, severity) => {
      const { url } = await atHead();
      const role = await servers.postgres.createRole({ attributes: "superuser" });
      await query(url, `alter role ${role.user} set ${name} = ${value}`);
      const own = asRole(url, role);
      const found = (await doctor(withUrl(own)))
        .of("settings")
        .filter(({ what }) => what.startsWith(`${name} `));
      expect(found).toMatchObject([
        { severity, remedy: `alter role "${role.user}" reset ${name}` },
      ]);
      await query(url, found[0]?.remedy ?? "");
      const after = (await doctor(withUrl(own))).of("settings");
      expect(after.filter(({ what }) => what.startsWith(`${name} `))).toEqual([]);
    },
  );

  test("on the database: its own remedy; client_connection_check_interval: gone once it is set", async () => {
    const { url, name } = await atHead();
    await query(url, `alter database ${name} set lock_timeout = '1s'`);
    const found = (await doctor(withUrl(url))).of("settings");
    expect(found.map(({ remedy }) => remedy)).toContain(
      `alter database "${name}" reset lock_timeout`,
    );
    const interval = found.find(({ what }) => what.startsWith("client_connection_check_interval"));
    expect(interval?.severity).toBe("note");
    await query(url, (interval?.remedy ?? "").replace("As a superuser: ", ""));
    expect((await doctor(withUrl(url))).of("settings").map(({ what }) => what)).toEqual([
      expect.stringContaining("lock_timeout"),
    ]);
  });
});

describe("of privileges and the ledger", () => {
  test("no CREATE on the schema, with the GRANT that cures it", async () => {
    const { url } = await servers.postgres.createDatabase();
    const role = await servers.postgres.createRole();
    const own = asRole(url, role);
    const [finding] = (await doctor(withUrl(own))).of("privileges");
    expect(finding?.severity).toBe("error");
    await query(url, finding?.remedy.replace(/^.*superuser: /, "") ?? "");
    expect((await doctor(withUrl(own))).of("privileges")).toEqual([]);
  });

  test("no privilege on the ledger: unreadable, and the GRANT", async () => {
    const { url } = await atHead();
    const role = await servers.postgres.createRole();
    await query(url, `grant create, usage on schema public to ${role.user}`);
    const own = asRole(url, role);
    const { of } = await doctor(withUrl(own));
    expect(of("ledger")).toMatchObject([{ severity: "error" }]);
    const [missing, foreign] = of("privileges");
    expect(missing?.what).toContain("select, insert, update, delete");
    expect(foreign?.severity).toBe("note");
    await query(url, missing?.remedy.replace(/^.*superuser: /, "") ?? "");
    expect((await doctor(withUrl(own))).of("ledger")).toEqual([]);
  });

  test("pending, drifted and interrupted", async () => {
    const { url } = await atHead();
    const more = migrationFolder({
      "1_one.sql": "create table one (id int);",
      "2_x.sql": "select 1",
    });
    expect((await doctor(withUrl(url), more)).of("ledger")).toMatchObject([{ severity: "note" }]);
    const edited = migrationFolder({ "1_one.sql": "create table one (id bigint);" });
    expect((await doctor(withUrl(url), edited)).of("ledger")).toMatchObject([
      { severity: "error" },
    ]);
    await query(url, "update headgate_migrations set state = 'failed'");
    const [finding] = (await doctor(withUrl(url))).of("ledger");
    expect(finding?.remedy).toStartWith("headgate resolve 1 --applied");
  });
});

describe("of indexes and what holds back vacuum", () => {
  test("an invalid index, and its remedy cures it", async () => {
    const { url } = await atHead();
    await query(url, "insert into one values (1), (1)");
    await query(url, "create unique index concurrently one_id on one (id)").catch(() => undefined);
    const [finding] = (await doctor(withUrl(url))).of("invalid-index");
    expect(finding).toMatchObject({ severity: "warning" });
    expect(finding?.what).toContain('"public"."one_id"');
    expect(finding?.what).toContain(`which "${servers.postgres.user}" owns`);
    await query(url, "delete from one");
    for (const statement of (finding?.remedy ?? "").split("; then again: "))
      await query(url, statement);
    expect((await doctor(withUrl(url))).of("invalid-index")).toEqual([]);
  });

  test("a builder whose runner is gone, and one whose runner waits for it", async () => {
    const { url } = await atHead();
    const blocker = await holdOpen(url, "insert into one values (1)");
    const zombie = hold(url, `/* headgate:${RUN} */ create index concurrently one_id on one (id)`);
    await until(
      url,
      "select from pg_stat_progress_create_index where datname = current_database()",
    );
    const gone = await doctor(withUrl(url));
    expect(gone.of("index-builder")).toMatchObject([{ severity: "warning" }]);
    expect(gone.of("index-builder")[0]?.what).toContain(RUN);
    expect(gone.of("invalid-index")).toMatchObject([{ severity: "note" }]);
    const { namespace, ledger } = runKey(PLACE);
    const runner = await holdOpen(url, `select pg_advisory_xact_lock(${namespace}, ${ledger})`);
    const guarded = await doctor(withUrl(url));
    expect(guarded.of("index-builder")).toMatchObject([{ severity: "note" }]);
    await runner.release();
    await blocker.release();
    await (await zombie).end();
  }, 30_000);

  test("a prepared transaction and a slot of nobody", async () => {
    const server = await servers.substrate.postgres({
      settings: { max_prepared_transactions: "2", wal_level: "logical" },
    });
    const { url } = await server.createDatabase();
    await query(url, "begin; create table t (); prepare transaction 'it''s left'");
    await query(url, "select pg_create_physical_replication_slot('lost', true)");
    const { of } = await doctor(withUrl(url));
    expect(of("prepared-transaction")).toMatchObject([{ severity: "warning" }]);
    expect(of("prepared-transaction")[0]?.remedy).toContain("rollback prepared 'it''s left'");
    expect(of("replication-slot")).toMatchObject([{ severity: "warning" }]);
    await query(url, "rollback prepared 'it''s left'");
    await query(url, of("replication-slot")[0]?.remedy.replace(/^.*: /, "") ?? "");
    const after = await doctor(withUrl(url));
    expect([...after.of("prepared-transaction"), ...after.of("replication-slot")]).toEqual([]);
    await server.stop();
  }, 120_000);
});

describe("of the gateway's tables", () => {
  test("missing seed indexes and rows that are there twice", async () => {
    const { url } = await servers.postgres.createDatabase();
    const env = {
      PLATFORM_ADMIN_EMAIL: "a@example.com",
      PLATFORM_ADMIN_PASSWORD: "long-Enough-4711",
    };
    expect((await headgate(["up"], withUrl(url, env))).status).toBe(0);
    const ask = async (check: string): Promise<readonly Finding[]> => {
      const { stdout } = await headgate(["doctor", "--json"], withUrl(url));
      const { findings } = JSON.parse(stdout) as { findings: readonly Finding[] };
      return findings.filter((each) => each.check === check);
    };
    expect([...(await ask("seed-index")), ...(await ask("duplicate-rows"))]).toEqual([]);
    const indexes = await query(
      url,
      "select indexname from pg_indexes where tablename = 'roles' and indexdef ~ 'UNIQUE.*name, scope'",
    );
    for (const { indexname } of indexes) await query(url, `drop index "${indexname}"`);
    expect(await ask("seed-index")).toMatchObject([{ severity: "warning" }]);
    await query(
      url,
      "create temp table twin as select * from roles limit 1; update twin set id = 'twin'; insert into roles select * from twin",
    );
    expect(await ask("duplicate-rows")).toMatchObject([{ severity: "error" }]);
  });
});

describe("of clock and checks that fail", () => {
  let late: Awaited<ReturnType<typeof buildMutant>>;
  let broken: Awaited<ReturnType<typeof buildMutant>>;
  beforeAll(async () => {
    late = await buildMutant({
      file: "cli/run-operator.ts",
      find: "wallMs: Date.now",
      replace: "wallMs: () => Date.now() - 60_000",
    });
    broken = await buildMutant({
      file: "db/doctor-schema.ts",
      find: "from pg_prepared_xacts",
      replace: "from pg_prepared_xacts_not",
    });
  }, 90_000);
  afterAll(() => {
    late.remove();
    broken.remove();
  });

  test("a machine that is a minute late is told so", async () => {
    const { url } = await atHead();
    const { of } = await doctor({ ...withUrl(url), binary: late.binary });
    expect(of("clock")).toMatchObject([{ severity: "warning" }]);
    expect(of("clock")[0]?.what).toContain("ahead of");
  });

  test("a check that fails is a note, and the others are made", async () => {
    const { url } = await atHead();
    const run = await headgate(["doctor", "--json", "--dir", dir], {
      ...withUrl(url),
      binary: broken.binary,
    });
    expect(run.status).toBe(0);
    const { findings } = JSON.parse(run.stdout) as { findings: readonly Finding[] };
    const failed = findings.filter(({ what }) => what.startsWith("not checked"));
    expect(failed).toMatchObject([{ check: "keepers", severity: "note" }]);
    expect(findings.some(({ check }) => check === "pooler")).toBe(true);
  });
});
