/** Every way to say which database, each proven by the table that `up` leaves there. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, type RunOptions } from "../support/headgate.ts";
import { tablesOf } from "../support/query.ts";
import {
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";

/** The superuser's own is too short to be looked for. */
const PASSWORD = "pa55-of-the-configuration-tests";

let substrate: Substrate;
let server: PostgresServer;
let pooler: Pgbouncer;
let statementPooler: Pgbouncer;
let user: string;

beforeAll(async () => {
  substrate = await openSubstrate();
  server = await substrate.postgres();
  const role = await server.createRole({ password: PASSWORD, attributes: "superuser" });
  user = role.user;
  pooler = await substrate.pgbouncer(server, { users: [role] });
  statementPooler = await substrate.pgbouncer(server, { users: [role], poolMode: "statement" });
}, 60_000);

afterAll(() => substrate?.close(), 60_000);

const LEDGER = "public.headgate_migrations";
const dir = migrationFolder({
  "1_a.sql": "-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;",
});

/** Runs, and looks for the password in whatever came out. */
async function ask(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const run = await headgate([...args, "--dir", dir], options);
  expect(run.stdout + run.stderr).not.toContain(PASSWORD);
  return run;
}

const urlAt = ({ host, port }: { host: string; port: number }, { name }: Database): string =>
  `postgres://${user}:${PASSWORD}@${host}:${port}/${name}`;
const fileWith = (text: string): string => join(migrationFolder({ file: text }), "file");
const NOWHERE = "postgres://nobody:nothing@127.0.0.1:1/none";

interface Given {
  readonly env?: Record<string, string>;
  readonly args?: readonly string[];
}

describe("the database is found by", () => {
  const pg = (database: Database): Record<string, string> => ({
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: user,
    PGDATABASE: database.name,
  });
  const service = (database: Database): string =>
    `[other]\nhost=127.0.0.1\nport=1\n[mine]\nhost=${server.host}\nport=${server.port}\nuser=${user}\ndbname=${database.name}\n`;
  const ways: readonly [how: string, given: (database: Database, url: string) => Given][] = [
    ["DATABASE_URL", (_db, url) => ({ env: { DATABASE_URL: url } })],
    [
      "HEADGATE_DATABASE_URL over DATABASE_URL",
      (_db, url) => ({ env: { HEADGATE_DATABASE_URL: url, DATABASE_URL: NOWHERE } }),
    ],
    [
      "a driver's scheme",
      (_db, url) => ({
        env: { DATABASE_URL: url.replace("postgres:", "postgresql+psycopg:") },
      }),
    ],
    ["DATABASE_URL_FILE", (_db, url) => ({ env: { DATABASE_URL_FILE: fileWith(`${url}\n`) } })],
    [
      "HEADGATE_DATABASE_URL_FILE",
      (_db, url) => ({ env: { HEADGATE_DATABASE_URL_FILE: fileWith(url), DATABASE_URL: NOWHERE } }),
    ],
    [
      "--database-url-file over every variable",
      (_db, url) => ({
        args: ["--database-url-file", fileWith(url)],
        env: { HEADGATE_DATABASE_URL: NOWHERE },
      }),
    ],
    [
      "--env-file",
      (_db, url) => ({ args: ["--env-file", fileWith(`# mine\nexport DATABASE_URL='${url}'\n`)] }),
    ],
    [
      "HEADGATE_ENV_FILE",
      (_db, url) => ({
        env: { HEADGATE_ENV_FILE: fileWith(`DATABASE_URL="${url}"`) },
      }),
    ],
    [
      "a variable over --env-file",
      (_db, url) => ({
        args: ["--env-file", fileWith(`DATABASE_URL=${NOWHERE}`)],
        env: { DATABASE_URL: url },
      }),
    ],
    ["PG* and PGPASSWORD", (db) => ({ env: { ...pg(db), PGPASSWORD: PASSWORD } })],
    [
      "PG* and PGPASSWORD_FILE",
      (db) => ({
        env: { ...pg(db), PGPASSWORD_FILE: fileWith(`${PASSWORD}\n`) },
      }),
    ],
    [
      "PG* and PGPASSFILE",
      (db) => ({
        env: {
          ...pg(db),
          PGPASSFILE: fileWith(`x:*:*:*:no\n${server.host}:${server.port}:*:${user}:${PASSWORD}\n`),
        },
      }),
    ],
    [
      "PGSERVICE and PGSERVICEFILE",
      (db) => ({
        env: { PGSERVICE: "mine", PGSERVICEFILE: fileWith(service(db)), PGPASSWORD: PASSWORD },
      }),
    ],
    [
      "a list of hosts whose first is dead",
      (db) => ({
        env: {
          DATABASE_URL: urlAt({ host: `127.0.0.1:1,${server.host}`, port: server.port }, db),
        },
      }),
    ],
  ];
  test.each(ways)("%s", async (_how, given) => {
    const database = await server.createDatabase();
    const { env = {}, args = [] } = given(database, urlAt(server, database));
    expect((await ask(["up", ...args], { env })).status).toBe(0);
    expect(await tablesOf(database.url)).toEqual(["public.a", LEDGER]);
    expect((await ask(["probe", ...args], { env })).status).toBe(0);
  });

  test("the folder of a Unix socket (local only: a container's is inside it)", async () => {
    if (server.socketDir === undefined) return expect(substrate.kind).toBe("containers");
    const database = await server.createDatabase();
    const env = { ...pg(database), PGHOST: server.socketDir, PGPASSWORD: PASSWORD };
    expect((await ask(["up"], { env })).status).toBe(0);
    const query = new URLSearchParams({ host: server.socketDir, port: String(server.port) });
    const url = `postgres://${user}:${PASSWORD}@/${database.name}?${query}`;
    expect((await ask(["probe"], { env: { DATABASE_URL: url } })).status).toBe(0);
  });
});

test("no .env and no bunfig.toml of the working directory is read", async () => {
  const cwd = migrationFolder({
    ".env": `DATABASE_URL=${NOWHERE}\n`,
    ".env.production": `DATABASE_URL=${NOWHERE}\n`,
    "bunfig.toml": 'preload = ["./loaded.ts"]\n',
    "loaded.ts": 'process.stderr.write("loaded"); process.exit(0);\n',
  });
  const run = await ask(["up"], { cwd });
  expect(run.status).toBe(2);
  expect(run.stderr).not.toContain("loaded");
  expect(eventOf(run, "command.failed")?.["reason"]).toContain("no database is named");
});

test("parameters of other tools are named in one warning and not sent, also through PgBouncer", async () => {
  const database = await server.createDatabase();
  const foreign = "?pgbouncer=true&schema=public&connection_limit=1";
  for (const place of [server, pooler]) {
    const env = { DATABASE_URL: urlAt(place, database) + foreign };
    const up = await ask(["up"], { env });
    expect(up.status).toBe(0);
    const warnings = up.events.filter(({ event }) => event === "settings.ignored");
    expect(warnings).toHaveLength(1);
    expect(warnings[0]?.["names"]).toBe("pgbouncer, schema, connection_limit");
    const probe = await ask(["probe"], { env });
    expect(probe.status).toBe(0);
    expect(probe.stderr).toBe("");
  }
});

describe("MIGRATION_DATABASE_URL", () => {
  test("takes the gate past a pooler that allows no transaction", async () => {
    const database = await server.createDatabase();
    const pooled = { DATABASE_URL: urlAt(statementPooler, database) };
    const refused = await ask(["up"], { env: pooled });
    expect(refused.status).toBe(2);
    expect(eventOf(refused, "command.failed")?.["hint"]).toContain("MIGRATION_DATABASE_URL");

    const env = { ...pooled, MIGRATION_DATABASE_URL: urlAt(server, database) };
    const up = await ask(["up", "--log-level", "debug"], { env });
    expect(up.status).toBe(0);
    const chosen = up.events.filter(({ event }) => event === "connection.chosen");
    expect(chosen.map(({ source, target }) => [source, target])).toEqual([
      [
        "DATABASE_URL",
        `${statementPooler.host}:${statementPooler.port}/${database.name} as ${user}`,
      ],
      ["MIGRATION_DATABASE_URL", `${server.host}:${server.port}/${database.name} as ${user}`],
    ]);
    expect((await ask(["probe"], { env: pooled })).status).toBe(0);
    expect((await ask(["up"], { env: pooled })).status).toBe(0);
  });

  test("that leads to another database: 4, naming both", async () => {
    const [asked, migrated] = [await server.createDatabase(), await server.createDatabase()];
    const env = {
      DATABASE_URL: urlAt(pooler, asked),
      MIGRATION_DATABASE_URL: urlAt(server, migrated),
    };
    const up = await ask(["up"], { env });
    expect(up.status).toBe(4);
    const reason = eventOf(up, "command.failed")?.["reason"];
    for (const { name } of [asked, migrated]) expect(reason).toContain(name);
    for (const source of ["DATABASE_URL", "MIGRATION_DATABASE_URL"]) {
      expect(reason).toContain(`(${source})`);
    }
    expect(await tablesOf(asked.url)).toEqual([]);
  });

  test.each([["DIRECT_URL"], ["DATABASE_URL_UNPOOLED"]])(
    "and %s only with --direct auto",
    async (variable) => {
      const database = await server.createDatabase();
      const env = {
        DATABASE_URL: urlAt(statementPooler, database),
        [variable]: urlAt(server, database),
      };
      expect((await ask(["up"], { env })).status).toBe(2);
      expect((await ask(["up", "--direct", "auto"], { env })).status).toBe(0);
    },
  );
});
