import { describe, expect, test } from "bun:test";
import { findPassword } from "../../src/config/pgpass.ts";
import { findService } from "../../src/config/service-file.ts";
import { parseStartupOptions } from "../../src/config/startup-options.ts";

describe("findPassword()", () => {
  const query = { host: "db", port: 5432, database: "shop", user: "app" };
  const table: readonly [when: string, text: string, password: string | undefined][] = [
    ["all fields match", "db:5432:shop:app:pw", "pw"],
    ["the file is empty", "", undefined],
    ["the host differs", "other:5432:shop:app:pw", undefined],
    ["the port differs", "db:5433:shop:app:pw", undefined],
    ["the database differs", "db:5432:other:app:pw", undefined],
    ["the user differs", "db:5432:shop:other:pw", undefined],
    ["all are wildcards", "*:*:*:*:pw", "pw"],
    ["a wildcard has company", "d*:*:*:*:pw", undefined],
    ["a wildcard is escaped", "\\*:*:*:*:pw", undefined],
    ["the first match wins", "*:*:*:app:one\ndb:5432:shop:app:two", "one"],
    ["a comment would match", "#*:*:*:*:no\n*:*:*:*:pw", "pw"],
    ["blank lines stand between", "\n\n*:*:*:*:pw\n", "pw"],
    ["line ends are CRLF", "*:*:*:*:pw\r\n", "pw"],
    ["the password has an escaped colon", "*:*:*:*:a\\:b", "a:b"],
    ["the password has an escaped backslash", "*:*:*:*:a\\\\b", "a\\b"],
    ["the password has an escaped letter", "*:*:*:*:a\\bc", "abc"],
    ["the password has a raw colon", "*:*:*:*:a:b", "a"],
    ["the password ends in a backslash", "*:*:*:*:a\\", "a\\"],
    ["the password is not ASCII", "*:*:*:*:grüße🔑", "grüße🔑"],
    ["the password is empty", "*:*:*:*:\n*:*:*:*:pw", "pw"],
    ["fields are missing", "db:5432:shop", undefined],
    ["blanks count", "db :5432:shop:app:pw", undefined],
  ];
  test.each(table)("when %s", (_when, text, password) => {
    expect(findPassword(text, query)).toBe(password);
  });

  const hosts: readonly [host: string, line: string, isFound: boolean][] = [
    ["::1", "\\:\\:1:*:*:*:pw", true],
    ["/tmp", "localhost:*:*:*:pw", true],
    ["/tmp", "/tmp:*:*:*:pw", true],
    ["/var/run/postgresql", "localhost:*:*:*:pw", true],
    ["/elsewhere", "localhost:*:*:*:pw", false],
    ["/elsewhere", "/elsewhere:*:*:*:pw", true],
  ];
  test.each(hosts)("host %s, line %s: %s", (host, line, isFound) => {
    expect(findPassword(line, { ...query, host })).toBe(isFound ? "pw" : undefined);
  });
});

describe("findService()", () => {
  const text = `# comment
[other]
host=wrong

[main]
# comment
host=db
  port=6432
password=a=b #c
host=second
schema=x

[last]
user=u`;
  const valuesOf = (service: string) => {
    const found = findService(text, service, "S");
    return found && Object.entries(found.settings).map(([name, { value }]) => `${name}=${value}`);
  };

  test("reads its section only; the first of two equal names wins", () => {
    expect(valuesOf("main")?.sort()).toEqual(["host=db", "password=a=b #c", "port=6432"]);
    expect(findService(text, "main", "S")?.ignored).toEqual(["schema"]);
  });

  test("reads the last section", () => {
    expect(valuesOf("last")).toEqual(["user=u"]);
  });

  test("does not find what is not there", () => {
    expect(valuesOf("mai")).toBeUndefined();
  });

  const bad: readonly [line: string, problem: string][] = [
    ["s3cr3t", "S has a line that is not name=value"],
    ["p@s3cr3t=x", "S has a line that is not name=value"],
    ["service=s3cr3t", "S names another service"],
  ];
  test.each(bad)("refuses the line %s", (line, problem) => {
    expect(() => findService(`[a]\n${line}`, "a", "S")).toThrow(`Cannot load settings: ${problem}`);
    expect(() => findService(`[a]\n${line}`, "a", "S")).not.toThrow("s3cr3t");
  });
});

describe("parseStartupOptions()", () => {
  const table: readonly [text: string, searchPath: string | undefined, ignored: string[]][] = [
    ["", undefined, []],
    ["-c search_path=app", "app", []],
    ["-csearch_path=app", "app", []],
    ["--search_path=app", "app", []],
    ["--search-path=app", "app", []],
    ["-c Search_Path=app", "app", []],
    ["  -c\tsearch_path=app,public ", "app,public", []],
    ["-c search_path=app,\\ public", "app, public", []],
    ['-c search_path="$user",public', '"$user",public', []],
    ["-c search_path=a\\\\b", "a\\b", []],
    ["-c search_path=a -c search_path=b", "b", []],
    ["-c search_path=", undefined, []],
    ["-c statement_timeout=5s -c search_path=app", "app", ["options:statement_timeout"]],
    [
      "--lock_timeout=1 -clog_min_messages=x",
      undefined,
      ["options:lock_timeout", "options:log_min_messages"],
    ],
    ["endpoint=ep-cool-1", undefined, ["options"]],
    ["-c", undefined, ["options"]],
    ["-d5 -c search_path=app", "app", ["options"]],
  ];
  test.each(table)("reads %j", (text, searchPath, ignored) => {
    expect(parseStartupOptions(text)).toEqual({ searchPath, ignored });
  });
});
