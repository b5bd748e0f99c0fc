/**
 * The small client and the general one, asked the same by every server that npm ships and by
 * PgBouncer: every way to log in that they offer, and every way in which they let nobody in.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { NEWEST_MAJOR, type PostgresMajor } from "../support/embedded-postgres.ts";
import { SUPERUSER } from "../support/postgres-admin.ts";
import { hold, query } from "../support/query.ts";
import { createScratchFolder, writeServerFile } from "../support/scratch.ts";
import { openStandby } from "../support/standby.ts";
import {
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";
import { createTlsFixture, type TlsFixture } from "../support/tls.ts";
import {
  askBoth,
  type Outcome,
  PASSWORD,
  rowsOf,
  verifierOf,
  WHO,
  type Wish,
} from "../support/two-clients.ts";

const VERSIONS = [14, 16, 17, 18] as const;
const OS_USER = execFileSync("id", ["-un"], { encoding: "utf8" }).trim();
const HBA = [
  "host all clear_user all password",
  "host all md5_user all md5",
  "host all trust_user all trust",
  "host all rejected_user all reject",
  "hostssl all tls_user all scram-sha-256",
  "hostnossl all tls_user all reject",
  "hostssl certified all all cert",
  `local all "${OS_USER}" peer`,
];

let substrate: Substrate;
let fixture: TlsFixture;
const servers = new Map<PostgresMajor, PostgresServer>();

beforeAll(async () => {
  fixture = createTlsFixture();
  substrate = await openSubstrate("local");
  const start = async (version: PostgresMajor): Promise<void> => {
    const server = await substrate.postgres({ version, tls: fixture.server, hba: HBA });
    servers.set(version, server);
    const { url } = await server.createDatabase();
    await createUsers(url);
    await query(url, "create database certified");
  };
  await Promise.all(VERSIONS.map(start));
}, 120_000);

afterAll(async () => {
  await substrate?.close();
  fixture?.cleanup();
}, 60_000);

async function createUsers(url: string): Promise<void> {
  const names = ["scram_user", "clear_user", "trust_user", "rejected_user", "tls_user"];
  const create = (user: string, password = PASSWORD): string =>
    `create role ${user} login password '${password}'`;
  const statements = [
    ...names.map((user) => create(user)),
    create("scram_1", verifierOf(PASSWORD, 1)),
    `${create("full_user")} connection limit 0`,
    ...(OS_USER === SUPERUSER.user ? [] : [`create role "${OS_USER}" login`]),
    "set password_encryption = 'md5'",
    create("md5_user"),
  ];
  await query(url, statements.join(";\n"));
}

function serverOf(version: PostgresMajor): PostgresServer {
  const server = servers.get(version);
  if (server) return server;
  throw new Error(`PostgreSQL ${version} is not started`);
}

function ask(wish: Wish): Promise<Outcome<{ rows: readonly unknown[]; tag: string }>> {
  return askBoth(wish, rowsOf(WHO));
}

describe.each(VERSIONS)("PostgreSQL %d", (version) => {
  let server: PostgresServer;
  beforeAll(() => {
    server = serverOf(version);
  });

  const methods: readonly [user: string, opens: readonly ("disable" | "require")[]][] = [
    ["scram_user", ["disable", "require"]],
    ["scram_1", ["disable", "require"]],
    ["md5_user", ["disable", "require"]],
    ["clear_user", ["require"]],
    ["trust_user", ["disable", "require"]],
    ["tls_user", ["require"]],
    ["rejected_user", []],
    ["nobody_here", []],
  ];
  test.each(methods)("as %s", async (user, opens) => {
    for (const sslMode of ["disable", "require"] as const) {
      const right = await ask({ server, user, sslMode });
      if (opens.includes(sslMode)) expect(right).toMatchObject({ rows: [{ who: user }] });
      else expect(right).toHaveProperty("kind");
      const wrong = await ask({ server, user, sslMode, password: "wrong" });
      if (user !== "trust_user") expect(wrong).toHaveProperty("kind");
    }
  });

  test("says what it refuses", async () => {
    expect(await ask({ server, database: "nowhere" })).toMatchObject({ state: "3D000" });
    expect(await ask({ server, user: "full_user" })).toMatchObject({ state: "53300" });
    expect(await ask({ server, user: "rejected_user" })).toMatchObject({ state: "28000" });
    expect(await ask({ server, password: "wrong" })).toMatchObject({ state: "28P01" });
    expect(await ask({ server, user: "clear_user" })).toMatchObject({ kind: "cleartext" });
    const open = await ask({ server, user: "clear_user", allowCleartext: true });
    expect(open).toMatchObject({ rows: [{ who: "clear_user", tls: false }] });
  });

  test("by a certificate, or as the user of the machine", async () => {
    const { ca } = fixture.server;
    const wish: Wish = { server, user: SUPERUSER.user, database: "certified", ca };
    const proven = await ask({ ...wish, sslMode: "verify-full", client: fixture.client });
    expect(proven).toMatchObject({ rows: [{ who: SUPERUSER.user, tls: true }] });
    expect(await ask({ ...wish, sslMode: "verify-full" })).toMatchObject({ state: "28000" });
    const peer = await ask({ server, user: OS_USER, host: server.socketDir ?? "" });
    expect(peer).toMatchObject({ rows: [{ who: OS_USER }] });
    const other = await ask({ server, user: "nobody_here", host: server.socketDir ?? "" });
    expect(other).toHaveProperty("kind");
  });
});

describe("a server that lets nobody in", () => {
  test("because it is full", async () => {
    const settings = { max_connections: "4", max_wal_senders: "0" };
    const server = await substrate.postgres({ settings });
    const { url } = await server.createDatabase();
    await query(url, `create role scram_user login password '${PASSWORD}'`);
    const held = await Promise.all(Array.from({ length: 4 }, () => hold(url, "select 1")));
    expect(await ask({ server })).toMatchObject({ state: "53300" });
    await Promise.all(held.map((each) => each.end()));
    await server.stop();
  });

  test("because it is starting", async () => {
    const standby = await openStandby(serverOf(NEWEST_MAJOR), { isReadable: false });
    expect(await ask({ server: standby })).toMatchObject({ state: "57P03" });
    await standby.stop();
  });
});

describe("PgBouncer", () => {
  let database: Database;
  beforeAll(async () => {
    database = await serverOf(NEWEST_MAJOR).createDatabase();
  });

  async function through(
    settings: Readonly<Record<string, string>>,
    play: (wish: Wish, pool: Pgbouncer) => Promise<void>,
  ): Promise<void> {
    const users = ["scram_user", "md5_user"].map((user) => ({ user, password: PASSWORD }));
    const newest = serverOf(NEWEST_MAJOR);
    const pool = await substrate.pgbouncer(newest, { settings, users, poolSize: 2 });
    await play({ server: pool, database: database.name }, pool);
    await pool.stop();
  }

  test.each(["scram-sha-256", "md5", "plain"])("that asks for %s", async (method) => {
    await through({ auth_type: method }, async (wish) => {
      const right = await ask({ ...wish, allowCleartext: true });
      expect(right).toMatchObject({ rows: [{ who: "scram_user" }] });
      const wrong = await ask({ ...wish, password: "wrong", allowCleartext: true });
      expect(wrong).toHaveProperty("kind");
      expect(await ask({ ...wish, user: "nobody_here" })).toHaveProperty("kind");
      expect(await ask({ ...wish, database: "nowhere" })).toHaveProperty("kind");
      if (method === "plain") expect(await ask(wish)).toMatchObject({ kind: "cleartext" });
    });
  });

  test("that trusts, or lets its own file say", async () => {
    await through({ auth_type: "trust" }, async (wish) => {
      expect(await ask({ ...wish, password: "wrong" })).toHaveProperty("rows");
    });
    const file = join(createScratchFolder("hba"), "hba.conf");
    writeServerFile(
      file,
      [
        "host all scram_user 127.0.0.1/32 scram-sha-256",
        "host all md5_user 127.0.0.1/32 md5",
        "",
      ].join("\n"),
    );
    await through({ auth_type: "hba", auth_hba_file: file }, async (wish) => {
      for (const user of ["scram_user", "md5_user"]) {
        expect(await ask({ ...wish, user })).toMatchObject({ rows: [{ who: user }] });
      }
      expect(await ask({ ...wish, user: SUPERUSER.user })).toHaveProperty("kind");
    });
  });

  test("that speaks TLS", async () => {
    const folder = createScratchFolder("pooler-tls");
    const { cert, key, ca } = fixture.server;
    for (const [name, path] of Object.entries({ cert, key })) {
      writeServerFile(join(folder, name), readFileSync(path));
    }
    const settings = {
      client_tls_sslmode: "require",
      client_tls_cert_file: join(folder, "cert"),
      client_tls_key_file: join(folder, "key"),
    };
    await through(settings, async (wish) => {
      for (const sslMode of ["prefer", "require", "verify-ca", "verify-full"] as const) {
        expect(await ask({ ...wish, sslMode, ca })).toMatchObject({
          rows: [{ who: "scram_user" }],
        });
      }
      expect(await ask({ ...wish, sslMode: "disable" })).toHaveProperty("kind");
      const { otherCa } = fixture;
      expect(await ask({ ...wish, sslMode: "verify-ca", ca: otherCa })).toHaveProperty("kind");
    });
  });

  test("that is full", async () => {
    await through({ max_client_conn: "1" }, async (wish, pool) => {
      const held = await hold(pool.urlOf(database), "select 1");
      expect(await ask(wish)).toHaveProperty("kind");
      await held.end();
    });
  });
});
