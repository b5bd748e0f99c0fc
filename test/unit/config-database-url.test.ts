import { describe, expect, test } from "bun:test";
import { decodePercent, parseDatabaseUrl } from "../../src/config/database-url.ts";
import type { Parameter } from "../../src/config/parameters.ts";

type Values = Partial<Record<Parameter, string>>;

function valuesOf(url: string): Values {
  const { settings } = parseDatabaseUrl(url, "DATABASE_URL");
  return Object.fromEntries(Object.entries(settings).map(([name, { value }]) => [name, value]));
}

function thrownBy(run: () => unknown): { code?: string; message: string; hint?: string } {
  try {
    run();
  } catch (error) {
    return error as { code: string; message: string; hint: string };
  }
  throw new Error("nothing was thrown");
}

describe("parseDatabaseUrl() passwords", () => {
  const table: readonly [written: string, meant: string][] = [
    ["plain", "plain"],
    ["%", "%"],
    ["@", "@"],
    [":", ":"],
    ["/", "/"],
    ["?", "?"],
    ["#", "#"],
    ["+", "+"],
    ["&", "&"],
    ["=", "="],
    ["%25", "%"],
    ["%40", "@"],
    ["%3A", ":"],
    ["%2F", "/"],
    ["%3f", "?"],
    ["%23", "#"],
    ["%2B", "+"],
    ["%26", "&"],
    ["%3D", "="],
    ["%@:/?#+&=", "%@:/?#+&="],
    ["%25%40%3A%2F%3F%23%2B%26%3D", "%@:/?#+&="],
    ["=&+#?/:@%", "=&+#?/:@%"],
    ["a b", "a b"],
    ["a%20b", "a b"],
    ["a+b", "a+b"],
    ["grüße", "grüße"],
    ["gr%C3%BC%C3%9Fe", "grüße"],
    ["пароль密码🔑", "пароль密码🔑"],
    ["%F0%9F%94%91", "🔑"],
    ["gr%FC%DFe", "gr%FC%DFe"],
    ["100%", "100%"],
    ["50%25", "50%"],
    ["50%2", "50%2"],
    ["%zz", "%zz"],
    ["%41%zz", "%41%zz"],
    ["%41%", "%41%"],
    ["a%00b", "a%00b"],
    ["p@ss@word", "p@ss@word"],
    ["p@host/db", "p@host/db"],
    ["p@host:5432/db", "p@host:5432/db"],
    ["a?b=c", "a?b=c"],
    ["a@b/c?d=e", "a@b/c?d=e"],
    ["?", "?"],
    ["??&&==", "??&&=="],
    ["1?x", "1?x"],
    ["[::1]", "[::1]"],
    ["postgres://x:y@z/w", "postgres://x:y@z/w"],
    ["'\"\\$`!;", "'\"\\$`!;"],
  ];
  test.each(table)("reads %s as %s", (written, meant) => {
    expect(valuesOf(`postgres://app:${written}@db.internal:6432/shop`)).toEqual({
      user: "app",
      password: meant,
      host: "db.internal",
      port: "6432",
      dbname: "shop",
    });
    expect(valuesOf(`postgres://app:${written}@db/shop?sslmode=require`)).toEqual({
      user: "app",
      password: meant,
      host: "db",
      dbname: "shop",
      sslmode: "require",
    });
  });
});

describe("parseDatabaseUrl() places", () => {
  const table: readonly [url: string, values: Values][] = [
    ["postgres://", {}],
    ["postgresql:///shop", { dbname: "shop" }],
    ["postgres://db", { host: "db" }],
    ["postgres://db/", { host: "db" }],
    ["postgres://db:/shop", { host: "db", dbname: "shop" }],
    ["postgres://app@db/shop", { user: "app", host: "db", dbname: "shop" }],
    ["postgres://app:@db/shop", { user: "app", host: "db", dbname: "shop" }],
    ["postgres://app:pw@/shop", { user: "app", password: "pw", dbname: "shop" }],
    ["postgres://app:pw@:6432/shop", { user: "app", password: "pw", port: "6432", dbname: "shop" }],
    ["POSTGRES://db/shop", { host: "db", dbname: "shop" }],
    ["postgresql+psycopg://db/shop", { host: "db", dbname: "shop" }],
    ["postgresql+psycopg2://db/shop", { host: "db", dbname: "shop" }],
    ["postgres+asyncpg://db/shop", { host: "db", dbname: "shop" }],
    [" postgres://db/shop\n", { host: "db", dbname: "shop" }],
    ["postgres://[::1]/shop", { host: "::1", dbname: "shop" }],
    [
      "postgres://u:p@[2001:db8::1]:6432/shop",
      { user: "u", password: "p", host: "2001:db8::1", port: "6432", dbname: "shop" },
    ],
    ["postgres://[fe80::1%25eth0]:1/x", { host: "fe80::1%eth0", port: "1", dbname: "x" }],
    ["postgres://%2Fvar%2Frun%2Fpostgresql/shop", { host: "/var/run/postgresql", dbname: "shop" }],
    [
      "postgres://%2Fcloudsql%2Fp%3Ar%3Ai:6432/x",
      { host: "/cloudsql/p:r:i", port: "6432", dbname: "x" },
    ],
    ["postgres:///shop?host=/tmp&port=6432", { dbname: "shop", host: "/tmp", port: "6432" }],
    ["postgres://a:1,b:2/x", { host: "a,b", port: "1,2", dbname: "x" }],
    [
      "postgres://u:p@a,b:2,[::1]/x",
      { user: "u", password: "p", host: "a,b,::1", port: ",2,", dbname: "x" },
    ],
    ["postgres://a,b/x", { host: "a,b", dbname: "x" }],
    ["postgres://my_db.svc-1/x", { host: "my_db.svc-1", dbname: "x" }],
    ["postgres://user%40corp@db/my%20db", { user: "user@corp", host: "db", dbname: "my db" }],
    [
      "postgres://user@server:pw@db/x",
      { user: "user@server", password: "pw", host: "db", dbname: "x" },
    ],
    ["postgres://db/a/b#c", { host: "db", dbname: "a/b#c" }],
    [
      "postgres://db/x?user=u&password=p%26q&dbname=y",
      { host: "db", user: "u", password: "p&q", dbname: "y" },
    ],
    ["postgres://db/x?user=u&user=v", { host: "db", dbname: "x", user: "v" }],
    ["postgres://db/x?application_name=a@b", { host: "db", dbname: "x", application_name: "a@b" }],
    [
      "postgres://u:p@db/x?application_name=a@b/c?d",
      { user: "u", password: "p", host: "db", dbname: "x", application_name: "a@b/c?d" },
    ],
    [
      "postgres://u:p@db/x?pgbouncer=true&application_name=a@b",
      { user: "u", password: "p", host: "db", dbname: "x", application_name: "a@b" },
    ],
    [
      "postgres://db/x?options=-c%20search_path%3Dapp",
      { host: "db", dbname: "x", options: "-c search_path=app" },
    ],
    [
      "postgres://db/x?options=-c search_path=app",
      { host: "db", dbname: "x", options: "-c search_path=app" },
    ],
    ["postgres://db/x?sslmode=", { host: "db", dbname: "x" }],
    ["postgres://db/x?", { host: "db", dbname: "x" }],
    ["postgres://db/x?sslmode=require&", { host: "db", dbname: "x", sslmode: "require" }],
    ["postgres://db?service=main", { host: "db", service: "main" }],
    ["postgres://db/x?ssl=true", { host: "db", dbname: "x", sslmode: "require" }],
    ["postgres://db/x?ssl=verify-full", { host: "db", dbname: "x", sslmode: "verify-full" }],
    [
      "postgres://db/x?sslmode=verify-full&ssl=false",
      { host: "db", dbname: "x", sslmode: "verify-full" },
    ],
  ];
  test.each(table)("reads %s", (url, values) => {
    expect(valuesOf(url)).toEqual(values);
  });
});

// An unescaped password that looks like a query is read as one: nothing tells the two apart.
describe("parseDatabaseUrl() ambiguity", () => {
  const table: readonly [url: string, values: Values][] = [
    ["postgres://u:12?user=x@db/y", { host: "u", port: "12", user: "x@db/y" }],
    ["postgres://u:a@b?foo=c@db/y", { user: "u", password: "a@b?foo=c", host: "db", dbname: "y" }],
    ["postgres://u:a@b?host=c@db/y", { user: "u", password: "a", host: "c@db/y" }],
    ["postgres://u:a@db/x@y", { user: "u", password: "a@db/x", host: "y" }],
  ];
  test.each(table)("decides %s", (url, values) => {
    expect(valuesOf(url)).toEqual(values);
  });
});

describe("parseDatabaseUrl() ignored names", () => {
  const table: readonly [query: string, ignored: string[]][] = [
    [
      "pgbouncer=true&schema=public&connection_limit=1",
      ["pgbouncer", "schema", "connection_limit"],
    ],
    ["something=else", ["something"]],
    ["supa=base-pooler.x&sslmode=require", ["supa"]],
    ["keepalives=1&tcp_user_timeout=5&channel_binding=prefer&gssencmode=disable", []],
    [
      "sslcrl=/x&require_auth=scram-sha-256&hostaddr=1.2.3.4",
      ["sslcrl", "require_auth", "hostaddr"],
    ],
    ["schema=a&schema=b", ["schema"]],
    ["ssl=true", []],
  ];
  test.each(table)("of %s", (query, ignored) => {
    expect(parseDatabaseUrl(`postgres://db/x?${query}`, "X").ignored).toEqual(ignored);
  });
});

describe("parseDatabaseUrl() refuses", () => {
  const table: readonly [url: string, problem: string][] = [
    ["sqlite:///s3cr3t.db", "is not a PostgreSQL URL"],
    ["mysql://root:s3cr3t@db/x", "is not a PostgreSQL URL"],
    ["jdbc:postgresql://db/x?password=s3cr3t", "is not a PostgreSQL URL"],
    ["postgres:s3cr3t", "is not a PostgreSQL URL"],
    ["s3cr3t", "is not a PostgreSQL URL"],
    ["host=db password=s3cr3t", "is not a PostgreSQL URL"],
    ["'postgres://u:s3cr3t@db/x'", "is not a PostgreSQL URL"],
    ["postgres://u:s3cr3t", "is not a well-formed PostgreSQL URL"],
    ["postgres://u:s3cr3t@db:port/x", "is not a well-formed PostgreSQL URL"],
    ["postgres://u:s3cr3t@d b/x", "is not a well-formed PostgreSQL URL"],
    ["postgres://u:p@s3cr3t@d b/x", "is not a well-formed PostgreSQL URL"],
    ["postgres://u:s3cr3t@[::1/x", "is not a well-formed PostgreSQL URL"],
    ["postgres://u:s3cr3t@db/x?novalue", "is not a well-formed PostgreSQL URL"],
    ["postgres://u:s3cr3t@db/x?sslmode=require&novalue", "is not a well-formed PostgreSQL URL"],
    ["postgres://u:s3cr3t\0@db/x", "is not a well-formed PostgreSQL URL"],
  ];
  test.each(table)("%j: %s", (url, problem) => {
    const error = thrownBy(() => parseDatabaseUrl(url, "DATABASE_URL"));
    expect(error.code).toBe("config-invalid");
    expect(error.message).toBe(`Cannot load settings: DATABASE_URL ${problem}`);
    expect(`${error.message}${error.hint}`).not.toContain("s3cr3t");
  });
});

/** Park and Miller's generator: the same passwords in every run. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % below;
  };
}

describe("parseDatabaseUrl() for any password", () => {
  const alphabet = [..."abcXYZ0129 %@:/?#+&=.,;!$'\"\\[](){}<>|^~`*-_äß密🔑"];
  const random = randomNumbers(20_260_101);
  const passwords = Array.from({ length: 3000 }, () =>
    Array.from({ length: 1 + random(24) }, () => alphabet[random(alphabet.length)]).join(""),
  );

  test("percent-encoded gives it back exactly", () => {
    for (const password of passwords) {
      const url = `postgres://app:${encodeURIComponent(password)}@db:6432/shop?sslmode=require`;
      expect(valuesOf(url).password).toBe(password);
    }
  });

  test("raw gives it back, unless it is a valid escape or looks like a query", () => {
    const plain = passwords.filter(
      (password) => decodePercent(password) === password && !/\?[A-Za-z_][\w.-]*=/.test(password),
    );
    expect(plain.length).toBeGreaterThan(2500);
    for (const password of plain) {
      const values = valuesOf(`postgres://app:${password}@db:6432/shop?application_name=x`);
      expect(values).toEqual({
        user: "app",
        password,
        host: "db",
        port: "6432",
        dbname: "shop",
        application_name: "x",
      });
    }
  });
});
