import { describe, expect, test } from "bun:test";
import { redact, secretsOf } from "../../src/config/redact.ts";
import { describeTarget } from "../../src/core/target.ts";
import { growthOf, LINEAR_GROWTH_MAX } from "../support/growth.ts";

describe("redact()", () => {
  const table: readonly [text: string, secrets: string[], redacted: string][] = [
    ["nothing to hide", [], "nothing to hide"],
    ["nothing to hide", ["hunter2"], "nothing to hide"],
    ["hunter2 and hunter2", ["hunter2"], "*** and ***"],
    ["p@ss w/rd", ["p@ss w/rd"], "***"],
    ["p%40ss%20w%2Frd", ["p@ss w/rd"], "***"],
    ["p%40ss+w%2frd", ["p@ss w/rd"], "***"],
    ["p%40ss w/rd", ["p@ss w/rd"], "***"],
    ["gr%c3%bc%C3%9Fe", ["grüße"], "***"],
    ["%f0%9f%94%91key", ["🔑key"], "***"],
    ['{"a":"x\\"y\\\\z"}', ['x"y\\z'], '{"a":"***"}'],
    ["a.b* and aXbb", ["a.b*"], "*** and aXbb"],
    ["ABCD is not abcd", ["abcd"], "ABCD is not ***"],
    ["secret-long and secret", ["secret", "secret-long"], "*** and ***"],
    ["a banana", ["a"], "a banana"],
    ["via app:a@db", ["a"], "via app:***@db"],
    ["via app:%40@db", ["@"], "via app:***@db"],
    ["", ["abcd"], ""],
    ["empty", [""], "empty"],
    ["at postgres://app:unknown@db/x now", [], "at postgres://***@db/x now"],
    ["at postgres://app@db/x", [], "at postgres://***@db/x"],
    ["at postgres://db/x", [], "at postgres://db/x"],
    ["postgresql+psycopg://a:p@ss/w@db/x", [], "postgresql+psycopg://***@db/x"],
    ["HTTPS://token@host/", [], "HTTPS://***@host/"],
    ['{"u":"postgres://a:b@db/x","m":"me@home"}', [], '{"u":"postgres://***@db/x","m":"me@home"}'],
    ['postgres://a:b"c@db/x', [], "postgres://***@db/x"],
    [
      "postgres://db/x?password=abc&sslmode=require",
      [],
      "postgres://db/x?password=***&sslmode=require",
    ],
    ["host=db password='a b\\'c' user=x", [], "host=db password=*** user=x"],
    ["sslpassword = abc", [], "sslpassword = ***"],
  ];
  test.each(table)("%s without %j", (text, secrets, redacted) => {
    expect(redact(text, secrets)).toBe(redacted);
  });

  test("is quick with a private key and a long text", () => {
    const key = `-----BEGIN PRIVATE KEY-----\n${"MIIEvQ+/".repeat(200)}\n-----END PRIVATE KEY-----\n`;
    const text = `${"a-b.c+".repeat(20_000)} ${key}`;
    expect(redact(text, [key])).not.toContain("MIIEvQ");
    expect(growthOf(text, (part) => redact(part, [key]))).toBeLessThan(LINEAR_GROWTH_MAX);
  });
});

describe("secretsOf()", () => {
  const table: readonly [password: string | undefined, sslKey: string | undefined, string[]][] = [
    [undefined, undefined, []],
    ["", undefined, []],
    ["pw", undefined, ["pw"]],
    ["pw", "PEM", ["pw", "PEM"]],
  ];
  test.each(table)("of %s and %s", (password, sslKey, secrets) => {
    expect(secretsOf({ password, sslKey })).toEqual(secrets);
  });
});

describe("describeTarget()", () => {
  const table: readonly [host: string, port: number, text: string][] = [
    ["db", 5432, "db:5432/shop as app"],
    ["::1", 6432, "[::1]:6432/shop as app"],
    ["/tmp", 5432, "/tmp:5432/shop as app"],
    ["/cloudsql/a:b", 5432, "/cloudsql/a:b:5432/shop as app"],
  ];
  test.each(table)("with %s and %d", (host, port, text) => {
    expect(describeTarget({ hosts: [{ host, port }], user: "app", database: "shop" })).toBe(text);
  });

  test("with two hosts", () => {
    const hosts = [
      { host: "a", port: 1 },
      { host: "b", port: 2 },
    ] as const;
    expect(describeTarget({ hosts: [...hosts], user: "u", database: "d" })).toBe("a:1,b:2/d as u");
  });
});
