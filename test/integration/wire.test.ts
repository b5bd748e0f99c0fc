/**
 * The small client and the general one, asked the same: every way to log in, every sslmode, every
 * error. Whatever the general client says, the small one must say too.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { DbError } from "../../src/core/db-error.ts";
import type { SslMode, Target } from "../../src/core/target.ts";
import { openConnection } from "../../src/db/connection.ts";
import type { Connection, Result } from "../../src/ports.ts";
import { BUN_WIRE } from "../../src/runtime/bun.ts";
import { openSession } from "../../src/wire/session.ts";
import { query } from "../support/query.ts";
import { openStub } from "../support/stub-server.ts";
import {
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";
import { createTlsFixture, type TlsFixture } from "../support/tls.ts";

const PASSWORD = "pa55-of-the-wire";
const ITERATIONS = [1, 2, 1000, 4096, 100_000];
/** What SASLprep changes, leaves, or cannot use. */
const PASSWORDS = ["Ⅸ-\u00aa", "a\u00adb", "x\u00a0y", "\u0627\u0031", "pässwörd-€", "\u0007bell"];
const HBA = [
  "host all clear_user all password",
  "host all md5_user all md5",
  "host all trust_user all trust",
  "hostssl all tls_user all scram-sha-256",
  "hostnossl all tls_user all reject",
];
const TIMEOUT_MS = 3000;

let substrate: Substrate;
let fixture: TlsFixture;
let secure: PostgresServer;
let plain: PostgresServer;
let pool: Pgbouncer;

beforeAll(async () => {
  fixture = createTlsFixture();
  substrate = await openSubstrate("local");
  const settings = { listen_addresses: "127.0.0.1,127.0.0.2" };
  secure = await substrate.postgres({ tls: fixture.server, hba: HBA, settings });
  plain = await substrate.postgres({ hba: HBA });
  for (const server of [secure, plain]) {
    const { url } = await server.createDatabase();
    for (const user of ["scram_user", "clear_user", "trust_user", "tls_user"]) {
      await query(url, `create role ${user} login password '${PASSWORD}'`);
    }
    await query(
      url,
      `set password_encryption = 'md5'; create role md5_user login password '${PASSWORD}'`,
    );
  }
  const { url } = await plain.createDatabase();
  for (const count of ITERATIONS) {
    await query(url, `create role scram_${count} login password '${verifierOf(PASSWORD, count)}'`);
  }
  pool = await substrate.pgbouncer(plain, { poolSize: 2 });
}, 120_000);

afterAll(async () => {
  await substrate?.close();
  fixture?.cleanup();
}, 60_000);

/** As PostgreSQL stores it, so that any iteration count can be asked for on any version. */
function verifierOf(password: string, iterations: number): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const key = (name: string): Buffer => createHmac("sha256", salted).update(name).digest();
  const stored = createHash("sha256").update(key("Client Key")).digest("base64");
  const server = key("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${stored}:${server}`;
}

interface Wish {
  readonly server?: { readonly host: string; readonly port: number };
  readonly host?: string;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  readonly sslMode?: SslMode;
  readonly ca?: string;
  readonly allowCleartext?: boolean;
}

function targetOf({ server = plain, ...wish }: Wish): Target {
  return {
    hosts: [{ host: wish.host ?? server.host, port: server.port }],
    user: wish.user ?? "scram_user",
    password: wish.password ?? PASSWORD,
    database: wish.database ?? "postgres",
    sslMode: wish.sslMode ?? "disable",
    sslRootCert: wish.ca === undefined ? undefined : readFileSync(wish.ca, "utf8"),
    sslCert: undefined,
    sslKey: undefined,
    connectTimeoutMs: undefined,
    applicationName: undefined,
    searchPath: undefined,
    allowCleartext: wish.allowCleartext ?? false,
    source: "test",
  };
}

/** Rows, or what kind of error it was. The words of a socket's own error are the runtime's. */
type Outcome =
  | { readonly rows: Result["rows"]; readonly tag: string }
  | { readonly kind: string; readonly state: string | undefined; readonly message?: string };

async function outcomeOf(
  connection: Connection,
  ask: (connection: Connection) => Promise<Result>,
): Promise<Outcome> {
  try {
    const { rows, tag } = await ask(connection);
    return { rows, tag };
  } catch (error) {
    if (!(error instanceof DbError)) throw error;
    const { kind, message, server } = error;
    const isOurs = kind === "server" || kind === "authentication" || kind === "cleartext";
    return { kind, state: server?.sqlState, ...(isOurs ? { message } : {}) };
  } finally {
    await connection.close();
  }
}

const SELECT =
  "select current_user::text as who, coalesce(ssl, false) as tls from pg_stat_ssl where pid = pg_backend_pid()";

/** Asks both; they must agree. */
async function both(
  wish: Wish,
  ask: (connection: Connection) => Promise<Result> = (connection) => connection.run(SELECT),
): Promise<Outcome> {
  const options = {
    target: targetOf(wish),
    applicationName: "wire-test",
    connectTimeoutMs: TIMEOUT_MS,
  };
  const [small, general] = await Promise.all([
    outcomeOf(openSession(BUN_WIRE, options), ask),
    outcomeOf(openConnection(options), ask),
  ]);
  expect(small).toEqual(general);
  return small;
}

const SSL_MODES: readonly SslMode[] = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
];
const AUTHORITIES = ["no CA", "the right CA", "another CA"] as const;
const HOSTS = ["localhost", "127.0.0.1", "127.0.0.2"] as const;

describe("sslmode", () => {
  const table = SSL_MODES.flatMap((mode) =>
    AUTHORITIES.flatMap((authority) => HOSTS.map((host) => [mode, authority, host] as const)),
  );
  test.each(table)("%s with %s to %s", async (sslMode, authority, host) => {
    const files = { "no CA": {}, "the right CA": { ca: fixture.server.ca } };
    const ca = authority === "another CA" ? { ca: fixture.otherCa } : files[authority];
    const outcome = await both({ server: secure, sslMode, host, ...ca });
    const isTls = sslMode !== "disable";
    const isProven = {
      "verify-ca": authority === "the right CA",
      "verify-full": authority === "the right CA" && host !== "127.0.0.2",
    };
    const isIn = isProven[sslMode as "verify-ca"] ?? true;
    if (isIn) expect(outcome).toMatchObject({ rows: [{ who: "scram_user", tls: isTls }] });
    else expect(outcome).toMatchObject({ kind: "connect" });
  });

  test.each(SSL_MODES)("%s on a server without TLS", async (sslMode) => {
    await both({ sslMode, ca: fixture.server.ca });
  });
});

describe("logging in", () => {
  const users = ["scram_user", "md5_user", "clear_user", "trust_user", "tls_user"];
  const table = users.flatMap((user) =>
    (["disable", "require"] as const).flatMap((sslMode) =>
      [PASSWORD, "wrong", ""].map((password) => [user, sslMode, password] as const),
    ),
  );
  test.each(table)("%s, sslmode %s, password %p", async (user, sslMode, password) => {
    const outcome = await both({ server: secure, user, sslMode, password });
    if (password === PASSWORD && sslMode === "require") expect(outcome).toHaveProperty("rows");
  });

  test("in cleartext where it is allowed", async () => {
    expect(await both({ user: "clear_user", allowCleartext: true })).toHaveProperty("rows");
  });

  test.each(ITERATIONS)("with %d iterations", async (count) => {
    expect(await both({ user: `scram_${count}` })).toHaveProperty("rows");
  });

  test.each(PASSWORDS)("with the password %p", async (password) => {
    const { user } = await plain.createRole({ password });
    const options = {
      target: targetOf({ user, password }),
      applicationName: "wire-test",
      connectTimeoutMs: TIMEOUT_MS,
    };
    const outcome = await outcomeOf(openSession(BUN_WIRE, options), (each) =>
      each.run("select 1 as one"),
    );
    expect(outcome).toEqual({ rows: [{ one: 1 }], tag: "SELECT" });
  });

  test("through PgBouncer, and over a Unix socket", async () => {
    const database = await plain.createDatabase();
    const { user, password } = plain;
    const wish = { user, password, database: database.name };
    expect(await both({ ...wish, server: pool })).toHaveProperty("rows");
    expect(await both({ ...wish, host: plain.socketDir ?? "" })).toHaveProperty("rows");
  });

  test.each([
    ["no such database", { database: "nowhere" }],
    ["no such role", { user: "nobody_here" }],
    ["nobody listens", { server: { host: "127.0.0.1", port: 1 } }],
    ["no such host", { host: "no-such-host.invalid" }],
  ])("when there is %s", async (_what, wish) => {
    expect(await both(wish)).toHaveProperty("kind");
  });
});

describe("an answer", () => {
  const types =
    "select true as a, 7::int2 as b, 8::int4 as c, 9::int8 as d, 1.5::float8 as e, 'x'::text as f, " +
    "'2026-01-02 03:04:05.678+00'::timestamptz as g, null::int4 as h, '{\"a\": 1}'::jsonb as i, " +
    "'{1,2}'::int4[]::text as j, 12::oid as k, 'name'::name as l, '' as m, " +
    "array['a', 'b'] as n, array[1, 2]::int8[] as o, 1.50::numeric as p, '2026-01-02'::date as q, " +
    "'2026-01-02 03:04:05'::timestamp as r, '[1]'::json as s, 'x'::\"char\" as u, " +
    "'00000000-0000-4000-8000-000000000000'::uuid as v, interval '1 day' as w, 1.5::float4 as x, array[true] as y";
  const table: readonly [what: string, ask: (connection: Connection) => Promise<Result>][] = [
    ["of every type that is read", (each) => each.run(types)],
    ["of several statements", (each) => each.run("begin; select 1 as a; rollback")],
    ["without rows", (each) => each.run("select 1 as a where false")],
    [
      "of many rows",
      (each) => each.run("select n, repeat('x', 1000) as x from generate_series(1, 3000) n"),
    ],
    [
      "to values",
      (each) =>
        each.bind("select $1::text as a, $2::int4 as b, $3::bool as c, $4::text as d", [
          "ä",
          5,
          true,
          null,
        ]),
    ],
    ["that is an error", (each) => each.run("select 1;\nselect nothing from nowhere")],
    ["to values that is an error", (each) => each.bind("select 1 / $1::int4", [0])],
    ["that ends the session", (each) => each.run("select pg_terminate_backend(pg_backend_pid())")],
    ["that does not come in time", (each) => each.run("select pg_sleep(5)", 200)],
    [
      "after an error",
      async (each) => {
        await each.run("select 1 / 0").catch(() => undefined);
        return each.run("select 2 as two");
      },
    ],
    [
      "after the session was ended",
      async (each) => {
        await each.run("select pg_terminate_backend(pg_backend_pid())").catch(() => undefined);
        return each.run("select 2 as two");
      },
    ],
  ];
  test.each(table)("%s", async (_what, ask) => {
    const { user, password } = plain;
    await both({ user, password }, ask);
  });
});

/** What a server that lets everybody in says, to any client: a login, then one row. */
async function recordedAnswers(): Promise<readonly Buffer[]> {
  const answers: Buffer[] = [];
  const { connect } = await import("node:net");
  const socket = connect(plain.port, plain.host);
  const startup = Buffer.from("user\0trust_user\0database\0postgres\0\0");
  const head = Buffer.alloc(8);
  head.writeInt32BE(startup.length + 8, 0);
  head.writeInt32BE(196_608, 4);
  const answer = async (question: Buffer): Promise<void> => {
    const chunks: Buffer[] = [];
    socket.write(question);
    while (chunks.at(-1)?.subarray(-6, -5).toString() !== "Z") {
      chunks.push(await new Promise<Buffer>((resolve) => socket.once("data", resolve)));
    }
    answers.push(Buffer.concat(chunks));
  };
  await answer(Buffer.concat([head, startup]));
  const text = Buffer.from("select 14 as head\0");
  const length = Buffer.alloc(4);
  length.writeInt32BE(text.length + 4, 0);
  await answer(Buffer.concat([Buffer.from("Q"), length, text]));
  socket.destroy();
  return answers;
}

/** Asks a server that gives these bytes to the first and the second message. */
async function askScripted(
  script: readonly Buffer[],
  send: (socket: import("node:net").Socket, bytes: Buffer) => void,
): Promise<Outcome> {
  const turns = new WeakMap<object, number>();
  const stub = await openStub({
    onData: (socket) => {
      const turn = turns.get(socket) ?? 0;
      turns.set(socket, turn + 1);
      const bytes = script[turn];
      if (bytes) send(socket, bytes);
    },
  });
  const options = {
    target: targetOf({ server: { host: "127.0.0.1", port: stub.port }, user: "trust_user" }),
    applicationName: "wire-test",
    connectTimeoutMs: 150,
  };
  try {
    return await outcomeOf(openSession(BUN_WIRE, options), (each) => each.run("select", 400));
  } finally {
    await stub.close();
  }
}

const GOOD = { rows: [{ head: 14 }], tag: "SELECT" };

describe("a server that speaks badly", () => {
  test("a byte at a time is understood", async () => {
    const script = await recordedAnswers();
    const outcome = await askScripted(script, (socket, bytes) => {
      socket.setNoDelay(true);
      for (const byte of bytes) socket.write(Buffer.from([byte]));
    });
    expect(outcome).toEqual(GOOD);
  });

  test("an answer cut at any byte is never taken for one", async () => {
    const [login = Buffer.alloc(0), answer = Buffer.alloc(0)] = await recordedAnswers();
    const scripts = [
      ...Array.from(login, (_byte, at) => [login.subarray(0, at)]),
      ...Array.from(answer, (_byte, at) => [login, answer.subarray(0, at)]),
    ];
    for (let at = 0; at < scripts.length; at += 32) {
      const outcomes = await Promise.all(
        scripts
          .slice(at, at + 32)
          .map((script) => askScripted(script, (socket, bytes) => void socket.end(bytes))),
      );
      for (const outcome of outcomes) expect(outcome).toHaveProperty("kind");
    }
  });

  test("mutated answers end in an answer or an error, and a head is only one that was sent", async () => {
    const script = await recordedAnswers();
    const next = randomOf(20_261_122);
    for (let round = 0; round < 12; round += 1) {
      const scripts = Array.from({ length: 32 }, () => script.map((bytes) => mutate(bytes, next)));
      const outcomes = await Promise.all(
        scripts.map((each) => askScripted(each, (socket, bytes) => void socket.end(bytes))),
      );
      const invented = outcomes.filter(
        (outcome, i) => !scripts[i]?.[1]?.includes(headIn(outcome)) && headIn(outcome) !== "",
      );
      expect(invented).toEqual([]);
    }
  });

  test.each([
    ["is no PostgreSQL", "HTTP/1.1 400 Bad Request\r\n\r\n"],
    ["is silent", ""],
    ["announces a huge message", "R\x7f\xff\xff\xff"],
  ])("a server that %s", async (_what, text) => {
    const outcome = await askScripted(
      [Buffer.from(text, "latin1")],
      (socket, bytes) => void socket.write(bytes),
    );
    expect(outcome).toMatchObject({ kind: "connect" });
  });
});

/** "" when there is no row, or one that has no such column. */
function headIn(outcome: Outcome): string {
  const head = "rows" in outcome ? outcome.rows[0]?.["head"] : undefined;
  return typeof head === "number" && !Number.isNaN(head) ? String(head) : "";
}

/** mulberry32: the same sequence for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** Flips, drops, repeats or inserts bytes, in a few places. */
function mutate(bytes: Buffer, next: () => number): Buffer {
  let list = [...bytes];
  for (let count = Math.floor(next() * 4); count > 0; count -= 1) {
    const at = Math.floor(next() * list.length);
    const kind = Math.floor(next() * 4);
    if (kind === 0) list[at] = Math.floor(next() * 256);
    if (kind === 1) list.splice(at, 1 + Math.floor(next() * 4));
    if (kind === 2) list.splice(at, 0, ...list.slice(at, at + Math.floor(next() * 16)));
    if (kind === 3) list = list.slice(0, at);
  }
  return Buffer.from(list);
}
