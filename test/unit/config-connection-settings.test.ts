import { describe, expect, test } from "bun:test";
import {
  type ConnectionFlags,
  loadTargets,
  type Targets,
} from "../../src/config/connection-settings.ts";
import type { Target } from "../../src/core/target.ts";

type Strings = Readonly<Record<string, string>>;
const SECRET = "s3cr3t";

function load(env: Strings, files: Strings = {}, flags: ConnectionFlags = {}): Targets {
  return loadTargets({ env, flags, readFile: (path) => files[path] });
}

function mainOf(env: Strings, files: Strings = {}, flags: ConnectionFlags = {}): Target {
  return load(env, files, flags).main;
}

function thrownBy(run: () => unknown): { code: string; message: string; hint?: string } {
  try {
    run();
  } catch (error) {
    return error as { code: string; message: string; hint?: string };
  }
  throw new Error("nothing was thrown");
}

test("loadTargets() completes a bare URL with libpq's defaults", () => {
  expect(load({ DATABASE_URL: "postgres://db", USER: "me" })).toEqual({
    main: {
      hosts: [{ host: "db", port: 5432 }],
      user: "me",
      password: undefined,
      database: "me",
      sslMode: "prefer",
      sslRootCert: undefined,
      sslCert: undefined,
      sslKey: undefined,
      connectTimeoutMs: undefined,
      applicationName: undefined,
      searchPath: undefined,
      allowCleartext: false,
      source: "DATABASE_URL",
    },
    direct: undefined,
    ignored: [],
  });
});

describe("loadTargets() main source", () => {
  const file = { "/run/url": "postgres://file/x\n" };
  const table: readonly [env: Strings, flags: ConnectionFlags, host: string, source: string][] = [
    [{ DATABASE_URL: "postgres://a" }, {}, "a", "DATABASE_URL"],
    [
      { DATABASE_URL: "postgres://a", HEADGATE_DATABASE_URL: "postgres://b" },
      {},
      "b",
      "HEADGATE_DATABASE_URL",
    ],
    [{ DATABASE_URL_FILE: "/run/url" }, {}, "file", "DATABASE_URL_FILE"],
    [
      { DATABASE_URL: "postgres://a", HEADGATE_DATABASE_URL_FILE: "/run/url" },
      {},
      "file",
      "HEADGATE_DATABASE_URL_FILE",
    ],
    [
      { HEADGATE_DATABASE_URL: "postgres://a" },
      { databaseUrlFile: "/run/url" },
      "file",
      "--database-url-file",
    ],
    [{ DATABASE_URL: "", PGHOST: "pg" }, {}, "pg", "PGHOST"],
    [{ DATABASE_URL: "postgres://a", PGHOST: "pg" }, {}, "a", "DATABASE_URL"],
    [{ DATABASE_URL: "postgres:///x", PGHOST: "pg" }, {}, "pg", "DATABASE_URL"],
    [{ PGUSER: "u", PGHOST: "pg", PGPORT: "1" }, {}, "pg", "PGHOST, PGUSER"],
    [{ PGDATABASE: "x" }, {}, "localhost", "PGDATABASE"],
  ];
  test.each(table)("of %j with %j is %s", (env, flags, host, source) => {
    const main = mainOf(env, file, flags);
    expect(main.hosts[0].host).toBe(host);
    expect(main.source).toBe(source);
  });
});

describe("loadTargets() direct source", () => {
  const auto: ConnectionFlags = { direct: "auto" };
  const table: readonly [env: Strings, flags: ConnectionFlags, source: string | undefined][] = [
    [{}, {}, undefined],
    [{ MIGRATION_DATABASE_URL: "postgres://d" }, {}, "MIGRATION_DATABASE_URL"],
    [{ MIGRATION_DATABASE_URL_FILE: "/run/url" }, {}, "MIGRATION_DATABASE_URL_FILE"],
    [
      { MIGRATION_DATABASE_URL: "postgres://d", HEADGATE_MIGRATION_DATABASE_URL: "postgres://e" },
      {},
      "HEADGATE_MIGRATION_DATABASE_URL",
    ],
    [{ DIRECT_URL: "postgres://d", DATABASE_URL_UNPOOLED: "postgres://e" }, {}, undefined],
    [{ DIRECT_URL: "postgres://d", DATABASE_URL_UNPOOLED: "postgres://e" }, auto, "DIRECT_URL"],
    [{ DATABASE_URL_UNPOOLED: "postgres://e" }, auto, "DATABASE_URL_UNPOOLED"],
    [
      { DIRECT_URL: "postgres://d", MIGRATION_DATABASE_URL: "postgres://e" },
      auto,
      "MIGRATION_DATABASE_URL",
    ],
    [{ DIRECT_URL: "not a url" }, {}, undefined],
  ];
  test.each(table)("of %j with %j is %s", (env, flags, source) => {
    const targets = load(
      { DATABASE_URL: "postgres://m", ...env },
      { "/run/url": "postgres://f" },
      flags,
    );
    expect(targets.direct?.source).toBe(source);
    expect(targets.main.source).toBe("DATABASE_URL");
  });
});

describe("loadTargets() fields", () => {
  const url = "postgres://u:p@db/x";
  const table: readonly [env: Strings, part: Partial<Target>][] = [
    [{ DATABASE_URL: url }, { user: "u", password: "p", database: "x" }],
    [{ DATABASE_URL: "postgres://u@db" }, { database: "u", password: undefined }],
    [{ DATABASE_URL: "postgres://db", LOGNAME: "log" }, { user: "log" }],
    [{ DATABASE_URL: "postgres://db" }, { user: "postgres", database: "postgres" }],
    [{ DATABASE_URL: "postgres://db/x", PGUSER: "pg", USER: "os" }, { user: "pg" }],
    [
      { DATABASE_URL: "postgres://a,b:2/x" },
      {
        hosts: [
          { host: "a", port: 5432 },
          { host: "b", port: 2 },
        ],
      },
    ],
    [
      { DATABASE_URL: "postgres://a,b/x?port=7" },
      {
        hosts: [
          { host: "a", port: 7 },
          { host: "b", port: 7 },
        ],
      },
    ],
    [
      { DATABASE_URL: "postgres://a,b/x", PGPORT: "7" },
      {
        hosts: [
          { host: "a", port: 7 },
          { host: "b", port: 7 },
        ],
      },
    ],
    [
      { DATABASE_URL: "postgres:///x?host=/tmp,&port=1,2" },
      {
        hosts: [
          { host: "/tmp", port: 1 },
          { host: "localhost", port: 2 },
        ],
      },
    ],
    [{ DATABASE_URL: "postgres://[::1]:6/x" }, { hosts: [{ host: "::1", port: 6 }] }],
    [{ DATABASE_URL: `${url}?connect_timeout=7` }, { connectTimeoutMs: 7000 }],
    [{ DATABASE_URL: `${url}?connect_timeout=0` }, { connectTimeoutMs: undefined }],
    [{ DATABASE_URL: `${url}?connect_timeout=-1` }, { connectTimeoutMs: undefined }],
    [{ DATABASE_URL: url, PGCONNECT_TIMEOUT: "3" }, { connectTimeoutMs: 3000 }],
    [{ DATABASE_URL: `${url}?application_name=one`, PGAPPNAME: "two" }, { applicationName: "one" }],
    [{ DATABASE_URL: url, PGAPPNAME: "two" }, { applicationName: "two" }],
    [{ DATABASE_URL: `${url}?options=-c%20search_path=app` }, { searchPath: "app" }],
    [{ DATABASE_URL: url, PGOPTIONS: "-c search_path=app" }, { searchPath: "app" }],
    [{ DATABASE_URL: `${url}?search_path=one,two` }, { searchPath: "one,two" }],
    [{ DATABASE_URL: url, PGSSLMODE: "require" }, { sslMode: "require" }],
    [{ DATABASE_URL: `${url}?sslmode=disable`, PGSSLMODE: "require" }, { sslMode: "disable" }],
  ];
  test.each(table)("of %j", (env, part) => {
    expect(mainOf(env)).toMatchObject(part);
  });

  test.each([
    ["any", []],
    ["read-write", ["target_session_attrs"]],
  ])("say that target_session_attrs=%s is not honoured: %j", (attrs, ignored) => {
    const env = { DATABASE_URL: `${url}?target_session_attrs=${attrs}` };
    expect(loadTargets({ env, readFile: () => undefined, flags: {} }).ignored).toEqual(ignored);
  });

  test("pass allowCleartext on", () => {
    expect(mainOf({ DATABASE_URL: url }, {}, { allowCleartext: true }).allowCleartext).toBe(true);
  });
});

describe("loadTargets() password", () => {
  const pass = {
    "/home/me/.pgpass": "b:*:*:*:home",
    "/pass": "*:*:*:*:named",
    "/pw": "mounted\r\n",
  };
  const table: readonly [env: Strings, password: string | undefined][] = [
    [{ DATABASE_URL: "postgres://u:url@b", PGPASSWORD: "env", HOME: "/home/me" }, "url"],
    [{ DATABASE_URL: "postgres://u@b", PGPASSWORD: "env", HOME: "/home/me" }, "env"],
    [{ DATABASE_URL: "postgres://u@b", PGPASSWORD_FILE: "/pw", HOME: "/home/me" }, "mounted"],
    [{ DATABASE_URL: "postgres://u@b", HOME: "/home/me" }, "home"],
    [{ DATABASE_URL: "postgres://u@a,b", HOME: "/home/me" }, "home"],
    [{ DATABASE_URL: "postgres://u@a", HOME: "/home/me" }, undefined],
    [{ DATABASE_URL: "postgres://u@b", HOME: "/home/me", PGPASSFILE: "/pass" }, "named"],
    [
      { DATABASE_URL: "postgres://u@b?passfile=/pass", HOME: "/home/me", PGPASSFILE: "/none" },
      "named",
    ],
    [{ DATABASE_URL: "postgres://u@b", HOME: "/home/me", PGPASSFILE: "/none" }, undefined],
    [{ DATABASE_URL: "postgres://u:@b", PGPASSWORD: "env" }, "env"],
    [{ DATABASE_URL: "postgres://u@b", PGPASSWORD: "50%25 +@" }, "50%25 +@"],
    [{ DATABASE_URL: "postgres://u:url@b", PGPASSWORD_FILE: "/none" }, "url"],
  ];
  test.each(table)("of %j is %s", (env, password) => {
    expect(mainOf(env, pass).password).toBe(password);
  });
});

describe("loadTargets() service", () => {
  const files = {
    "/home/me/.pg_service.conf":
      "[main]\nhost=svc\nport=7\nuser=svc\nsslmode=require\npgbouncer=1\n",
    "/etc/pg/pg_service.conf": "[main]\nhost=wrong\n[system]\nhost=sys\npassword=pw\n",
    "/named": "[main]\nhost=named\n",
  };
  const base = { HOME: "/home/me", PGSYSCONFDIR: "/etc/pg" };
  const table: readonly [env: Strings, part: Partial<Target>][] = [
    [
      { PGSERVICE: "main" },
      { hosts: [{ host: "svc", port: 7 }], user: "svc", sslMode: "require", source: "PGSERVICE" },
    ],
    [{ PGSERVICE: "system" }, { hosts: [{ host: "sys", port: 5432 }], password: "pw" }],
    [{ PGSERVICE: "system", PGPASSWORD: "env" }, { password: "pw" }],
    [
      { PGSERVICE: "main", PGHOST: "env", PGDATABASE: "d" },
      { hosts: [{ host: "svc", port: 7 }], database: "d", source: "PGSERVICE, PGHOST, PGDATABASE" },
    ],
    [
      { DATABASE_URL: "postgres://url/x?service=main" },
      { hosts: [{ host: "url", port: 7 }], user: "svc" },
    ],
    [
      { DATABASE_URL: "postgres://?service=system", PGSERVICE: "main" },
      { hosts: [{ host: "sys", port: 5432 }] },
    ],
    [{ PGSERVICE: "main", PGSERVICEFILE: "/named" }, { hosts: [{ host: "named", port: 5432 }] }],
  ];
  test.each(table)("of %j", (env, part) => {
    expect(mainOf({ ...base, ...env }, files)).toMatchObject(part);
  });
});

describe("loadTargets() TLS files", () => {
  const home = "/home/me/.postgresql";
  const files = {
    "/ca": "CA",
    "/crt": "CRT",
    "/key": "KEY",
    [`${home}/root.crt`]: "HOME CA",
    [`${home}/postgresql.crt`]: "HOME CRT",
    [`${home}/postgresql.key`]: "HOME KEY",
  };
  const none = { sslRootCert: undefined, sslCert: undefined, sslKey: undefined };
  const table: readonly [query: string, env: Strings, part: Partial<Target>][] = [
    ["sslmode=require", {}, { sslMode: "require", ...none }],
    ["sslmode=require&sslrootcert=/ca", {}, { sslMode: "verify-ca", sslRootCert: "CA" }],
    ["sslmode=verify-full&sslrootcert=/ca", {}, { sslMode: "verify-full", sslRootCert: "CA" }],
    ["sslrootcert=/ca", {}, { sslMode: "prefer", sslRootCert: "CA" }],
    ["sslrootcert=system", {}, { sslMode: "verify-full", ...none }],
    [
      "sslrootcert=system&sslmode=verify-full",
      { HOME: "/home/me" },
      { sslMode: "verify-full", sslRootCert: undefined },
    ],
    [
      "sslmode=require",
      { HOME: "/home/me" },
      { sslMode: "verify-ca", sslRootCert: "HOME CA", sslCert: "HOME CRT", sslKey: "HOME KEY" },
    ],
    ["sslmode=disable&sslcert=/none", { HOME: "/home/me" }, { sslMode: "disable", ...none }],
    ["sslcert=/crt&sslkey=/key", {}, { sslCert: "CRT", sslKey: "KEY" }],
    ["sslkey=/key", {}, none],
    [
      "sslmode=require",
      { PGSSLROOTCERT: "/ca", PGSSLCERT: "/crt", PGSSLKEY: "/key" },
      { sslMode: "verify-ca", sslRootCert: "CA", sslCert: "CRT", sslKey: "KEY" },
    ],
    ["host=/tmp&sslmode=verify-full", {}, { sslMode: "verify-full", ...none }],
  ];
  test.each(table)("of %s with %j", (query, env, part) => {
    expect(mainOf({ DATABASE_URL: `postgres://db/x?${query}`, ...env }, files)).toMatchObject(part);
  });
});

test("loadTargets() names ignored parameters of both targets once", () => {
  const { ignored } = load({
    DATABASE_URL: "postgres://db/x?pgbouncer=true&options=-c%20geqo=off",
    MIGRATION_DATABASE_URL: "postgres://db/x?schema=a&pgbouncer=true",
    PGHOSTADDR: "127.0.0.1",
  });
  expect(ignored).toEqual(["pgbouncer", "PGHOSTADDR", "options:geqo", "schema"]);
});

describe("loadTargets() refuses", () => {
  const db = `postgres://u:${SECRET}@db/x`;
  const table: readonly [env: Strings, problem: string][] = [
    [{}, "no database is named"],
    [{ PGPASSWORD: SECRET }, "no database is named"],
    [{ MIGRATION_DATABASE_URL: db }, "no database is named"],
    [{ DATABASE_URL: `sqlite://${SECRET}` }, "DATABASE_URL is not a PostgreSQL URL"],
    [
      { DATABASE_URL: db, DATABASE_URL_FILE: "/x" },
      "DATABASE_URL and DATABASE_URL_FILE are both set",
    ],
    [{ DATABASE_URL_FILE: db }, "DATABASE_URL_FILE names a file that does not exist"],
    [{ DATABASE_URL_FILE: "/empty" }, "DATABASE_URL_FILE names an empty file"],
    [
      { PGHOST: "h", PGPASSWORD: SECRET, PGPASSWORD_FILE: "/x" },
      "PGPASSWORD and PGPASSWORD_FILE are both set",
    ],
    [{ PGHOST: "h", PGPASSWORD_FILE: SECRET }, "PGPASSWORD_FILE names a file that does not exist"],
    [
      { DATABASE_URL: `${db}?sslmode=${SECRET}` },
      "sslmode in DATABASE_URL is not one of disable, allow, prefer, require, verify-ca, verify-full",
    ],
    [
      { DATABASE_URL: `${db}?ssl=${SECRET}` },
      "ssl in DATABASE_URL is not one of disable, allow, prefer, require, verify-ca, verify-full",
    ],
    [
      { DATABASE_URL: db, PGSSLMODE: SECRET },
      "PGSSLMODE is not one of disable, allow, prefer, require, verify-ca, verify-full",
    ],
    [
      { DATABASE_URL: `${db}?sslmode=require&sslrootcert=system` },
      "sslmode in DATABASE_URL is too weak for sslrootcert=system",
    ],
    [
      { DATABASE_URL: `${db}?sslmode=verify-full` },
      "sslmode in DATABASE_URL needs a root certificate",
    ],
    [
      { DATABASE_URL: `${db}?sslrootcert=${SECRET}` },
      "sslrootcert in DATABASE_URL names a file that does not exist",
    ],
    [{ DATABASE_URL: db, PGSSLCERT: SECRET }, "PGSSLCERT names a file that does not exist"],
    [{ DATABASE_URL: `${db}?sslcert=/crt` }, "sslcert in DATABASE_URL needs a private key"],
    [
      { DATABASE_URL: `${db}?sslcert=/crt&sslkey=${SECRET}` },
      "sslkey in DATABASE_URL names a file that does not exist",
    ],
    [
      { DATABASE_URL: `${db}?connect_timeout=${SECRET}` },
      "connect_timeout in DATABASE_URL is not a whole number of seconds up to 2147483",
    ],
    [
      { DATABASE_URL: db, PGCONNECT_TIMEOUT: "9999999" },
      "PGCONNECT_TIMEOUT is not a whole number of seconds up to 2147483",
    ],
    [
      { DATABASE_URL: `${db}?target_session_attrs=${SECRET}` },
      "target_session_attrs in DATABASE_URL is not one of any, read-write, read-only, primary, standby, prefer-standby",
    ],
    [
      { DATABASE_URL: `postgres://u:${SECRET}@db:0/x` },
      "port in DATABASE_URL is not a port from 1 to 65535",
    ],
    [
      { DATABASE_URL: `postgres://u:${SECRET}@db:65536/x` },
      "port in DATABASE_URL is not a port from 1 to 65535",
    ],
    [{ DATABASE_URL: db, PGPORT: SECRET }, "PGPORT is not a port from 1 to 65535"],
    [
      { DATABASE_URL: `postgres://u:${SECRET}@a,b/x?port=1,2,3` },
      "port in DATABASE_URL names 3 ports for 2 hosts",
    ],
    [{ PGSERVICE: SECRET }, "PGSERVICE names a service that no service file defines"],
    [
      { PGSERVICE: "main", PGSERVICEFILE: SECRET },
      "PGSERVICEFILE names a file that does not exist",
    ],
    [
      { PGSERVICE: "main", PGSERVICEFILE: "/service" },
      "sslmode in the service of PGSERVICE is not one of disable, allow, prefer, require, verify-ca, verify-full",
    ],
    [{ PGHOST: "h", PGUSER: `u\0${SECRET}` }, "PGUSER holds a NUL character"],
    [
      {
        DATABASE_URL: `${db}?sslmode=x&connect_timeout=y`,
        MIGRATION_DATABASE_URL: `mysql://${SECRET}`,
      },
      "sslmode in DATABASE_URL is not one of disable, allow, prefer, require, verify-ca, verify-full; connect_timeout in DATABASE_URL is not a whole number of seconds up to 2147483; MIGRATION_DATABASE_URL is not a PostgreSQL URL",
    ],
  ];
  const files = { "/empty": "\n", "/crt": "CRT", "/service": `[main]\nsslmode=${SECRET}\n` };
  test.each(table)("%j: %s", (env, problem) => {
    const error = thrownBy(() => load(env, files));
    expect(error.code).toBe("config-invalid");
    expect(error.message).toBe(`Cannot load settings: ${problem}`);
    expect(`${error.message} ${error.hint ?? ""}`).not.toContain(SECRET);
  });

  test("a missing --database-url-file", () => {
    const error = thrownBy(() => load({ DATABASE_URL: db }, {}, { databaseUrlFile: SECRET }));
    expect(error.message).toBe(
      "Cannot load settings: --database-url-file names a file that does not exist",
    );
  });

  test("with an error of readFile as it is", () => {
    const failing = () => {
      throw new TypeError("boom");
    };
    const env = { DATABASE_URL_FILE: "/x" };
    expect(() => loadTargets({ env, flags: {}, readFile: failing })).toThrow(TypeError);
  });
});
