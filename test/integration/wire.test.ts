/**
 * The small client and the general one, asked the same: every sslmode, every way to log in, every
 * kind of answer. Whatever the general client says, the small one must say too. Other servers are in
 * `wire-servers.test.ts`, bad ones in `wire-bad-server.test.ts`, ledgers in `wire-head.test.ts`.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { SslMode } from "../../src/core/target.ts";
import type { Connection, Result } from "../../src/ports.ts";
import { query } from "../support/query.ts";
import {
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";
import { createTlsFixture, type TlsFixture } from "../support/tls.ts";
import {
  type Ask,
  askBoth,
  askOne,
  type Outcome,
  PASSWORD,
  rowsOf,
  verifierOf,
  WHO,
  type Wish,
} from "../support/two-clients.ts";

const ITERATIONS = [1, 2, 1000, 4096, 100_000];
/** And whether SASLprep changes them: the general client sends them as they stand. */
const PASSWORDS: readonly [password: string, what: string, isPrepared: boolean][] = [
  ["Ⅸ-\u00aa", "compatibility characters", true],
  ["a\u00adb", "a character that is mapped to nothing", true],
  ["x\u00a0y", "a space that is not ASCII's", true],
  ["u\u0308x", "a letter in two parts", true],
  ["\u0627\u0031", "right-to-left text that may not end so", false],
  ["pässwörd-€", "letters in their usual form", false],
  ["\u0007bell", "a control character, all ASCII", false],
  ["\u0007bellé", "a control character, not ASCII", false],
];
const HBA = [
  "host all clear_user all password",
  "host all md5_user all md5",
  "host all trust_user all trust",
  "hostssl all tls_user all scram-sha-256",
  "hostnossl all tls_user all reject",
];
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

/** Asks both for rows; they must agree. */
function both(
  wish: Partial<Wish>,
  ask: Ask<Pick<Result, "rows" | "tag">> = rowsOf(WHO),
): Promise<Outcome<Pick<Result, "rows" | "tag">>> {
  return askBoth({ server: plain, ...wish }, ask);
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

  test.each(PASSWORDS)("with the password %p: %s", async (password, _what, isPrepared) => {
    const { user } = await plain.createRole({ password });
    const wish = { server: plain, user, password };
    const one = { rows: [{ one: 1 }], tag: "SELECT" };
    expect(await askOne("small", wish, rowsOf("select 1 as one"))).toEqual(one);
    const general = await askOne("general", wish, rowsOf("select 1 as one"));
    if (isPrepared) expect(general).toMatchObject({ kind: "server", state: "28P01" });
    else expect(general).toEqual(one);
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
    await both({ user, password }, async (each) => {
      const { rows, tag } = await ask(each);
      return { rows, tag };
    });
  });
});
