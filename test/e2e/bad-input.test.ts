/** What a person can get wrong before any database is asked: command line, settings, migration files. */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run } from "../support/headgate.ts";
import { openStub } from "../support/stub-server.ts";

const good = migrationFolder({ "1_a.sql": "create table a ();" });
const SECRET = "s3cret-of-mine";

function said(run: Run): string {
  const failed = eventOf(run, "command.failed");
  return `${String(failed?.["reason"])}\n${String(failed?.["hint"])}`;
}

describe("a command line that cannot be read exits 2 and says how it should be:", () => {
  const cases: readonly [args: readonly string[], ...says: string[]][] = [
    [[], "no command is given", "headgate --help"],
    [["probed"], '"probed" is no command', 'Did you mean "headgate probe"?'],
    [["migarte"], '"migarte" is no command', 'Did you mean "headgate migrate"?'],
    [["drop-everything"], '"drop-everything" is no command', "headgate --help"],
    [["up", "--lock-wiat", "3s"], "up has no flag --lock-wiat", "Did you mean --lock-wait?"],
    [["migrate", "--lock-wiat", "3s"], "up has no flag --lock-wiat", "Did you mean --lock-wait?"],
    [["status", "--atomic"], "status has no flag --atomic", "headgate status --help"],
    [["up", "--lock-wait"], "--lock-wait needs a value: <duration>"],
    [["up", "--dir", "--atomic"], "--dir needs a value: <folder>"],
    [["up", "--lock-wait", "3s", "--lock-wait", "5s"], "--lock-wait is given twice"],
    [["up", "now"], 'up takes no argument "now"'],
    [["down", "0"], 'not "0"'],
    [["down", "all"], 'not "all"'],
    [["down", "-1"], 'not "-1"'],
    [["down", "1", "2"], 'down takes no argument "2"'],
    [["up", "--lock-wait", "soon"], "--lock-wait must be a duration"],
    [["up", "--lock-id", "1e3"], "--lock-id must be a 64-bit integer"],
    [["up", "--to", "last"], "--to must be a version number"],
    [["up", "--ledger", "a.b.c"], "--ledger must be a table name"],
    [["up", "--skip-migrations", "maybe"], "--skip-migrations must be true, false, verify"],
    [["up", "--policy", "lax"], "--policy must be at-least or exact"],
  ];
  test.each(cases)("%p", async (args, ...says) => {
    const run = await headgate(args);
    expect(run.status).toBe(2);
    expect(run.stdout).toBe("");
    for (const text of says) expect(said(run)).toContain(text);
  });
});

describe("settings that name no database exit 2 without their values:", () => {
  const cases: readonly [when: string, env: Record<string, string>, ...says: string[]][] = [
    ["nothing is set", {}, "no database is named", "DATABASE_URL"],
    ["the variable is empty", { DATABASE_URL: "" }, "no database is named"],
    ["only a password is set", { PGPASSWORD: SECRET }, "no database is named"],
    [
      "the URL is SQLite's",
      { DATABASE_URL: `sqlite:///${SECRET}.db` },
      "DATABASE_URL is not a PostgreSQL URL",
    ],
    ["the URL is MySQL's", { DATABASE_URL: `mysql://a:${SECRET}@db/x` }, "DATABASE_URL is not"],
    ["the URL is quoted", { DATABASE_URL: `"postgres://a:${SECRET}@db/x"` }, "Remove the quotes"],
    ["the host is malformed", { DATABASE_URL: `postgres://a:${SECRET}@d b/x` }, "well-formed"],
    ["the port is none", { DATABASE_URL: `postgres://a:${SECRET}@db:70000/x` }, "1 to 65535"],
    ["sslmode is none", { DATABASE_URL: `postgres://a:${SECRET}@db/x?sslmode=on` }, "sslmode"],
    [
      "both forms are set",
      { DATABASE_URL: `postgres://a:${SECRET}@db/x`, DATABASE_URL_FILE: "/tmp/x" },
      "DATABASE_URL and DATABASE_URL_FILE are both set",
    ],
    ["the file is missing", { DATABASE_URL_FILE: `/nowhere/${SECRET}` }, "does not exist"],
    ["the service is unknown", { PGSERVICE: SECRET }, "no service file defines"],
    [
      "two things are wrong",
      { DATABASE_URL: "sqlite:x", MIGRATION_DATABASE_URL: "mysql:x" },
      "DATABASE_URL is not",
      "MIGRATION_DATABASE_URL is not",
    ],
    [
      "two variables are malformed",
      { HEADGATE_LOCK_WAIT: "soon", HEADGATE_POLICY: "lax" },
      "HEADGATE_LOCK_WAIT must be",
      "HEADGATE_POLICY must be",
    ],
  ];
  test.each(cases)("%s", async (_when, env, ...says) => {
    const run = await headgate(["up", "--dir", good], { env });
    expect(run.status).toBe(2);
    for (const text of says) expect(said(run)).toContain(text);
    expect(run.stdout + run.stderr).not.toContain(SECRET);
  });
});

const withFolder = (): string => {
  const folder = migrationFolder({ "2_b.sql": "select 1;" });
  mkdirSync(join(folder, "1_x.sql"));
  return folder;
};
const notUtf8 = new Uint8Array([0x2d, 0x2d, 0x20, 0xe4, 0x0a]);

describe("a folder of migrations that cannot be used exits 2, and no database is asked:", () => {
  const cases: readonly [what: string, folder: () => string, ...says: string[]][] = [
    ["it is missing", () => "/nowhere/migrations", "/nowhere/migrations", "ENOENT"],
    ["it is a file", () => join(good, "1_a.sql"), "ENOTDIR"],
    ["it is empty", () => migrationFolder({}), "no migration"],
    ["it has other files only", () => migrationFolder({ "README.md": "" }), "no migration"],
    [
      "versions are there twice",
      () => migrationFolder({ "1_a.sql": "", "01_b.sql": "", "2_c.sql": "", "002_d.sql": "" }),
      "01_b.sql, 1_a.sql: the same version 1",
      "002_d.sql, 2_c.sql: the same version 2",
    ],
    [
      "names have no number, or no name",
      () => migrationFolder({ "init.sql": "", "7.sql": "", "8-x.sql": "", "9_ok.sql": "select 1" }),
      "6 problems",
      "init.sql: ",
      "7.sql: ",
      "8-x.sql: ",
    ],
    [
      "a version is too large",
      () => migrationFolder({ "99999999999999999999_a.sql": "" }),
      "99999999999999999999_a.sql: the version is larger",
    ],
    [
      "files are not UTF-8",
      () => migrationFolder({ "1_a.sql": notUtf8, "2_b.sql": "select 1;", "3_c.sql": notUtf8 }),
      "1_a.sql: it is not UTF-8",
      "3_c.sql: it is not UTF-8",
    ],
    ["a folder has a file's name", withFolder, "1_x.sql: it cannot be read (EISDIR)"],
    [
      "files are another tool's",
      () => migrationFolder({ "1_a.up.sql": "", "1_a.down.sql": "", "2_b.sql": "-- +goose Up" }),
      "1_a.up.sql: ",
      "1_a.down.sql: ",
      "2_b.sql:1:1: another tool's annotation",
    ],
    [
      "options are wrong",
      () =>
        migrationFolder({
          "1_a.sql": "-- migrate:up lock_timeout:soon\n",
          "2_b.sql": "-- headgate: braking:true\n",
        }),
      '1_a.sql:1:15: option "lock_timeout" is not a duration',
      '2_b.sql:1:14: unknown option "braking"',
    ],
  ];
  test.each(cases)("%s", async (_what, folder, ...says) => {
    const stub = await openStub();
    const env = { DATABASE_URL: stub.url };
    const dir = folder();
    for (const command of ["up", "status", "plan", "down"]) {
      const run = await headgate([command, "--dir", dir], { env });
      expect(run.status).toBe(2);
      for (const text of says) expect(said(run)).toContain(text);
    }
    await stub.close();
    expect(stub.connections()).toBe(0);
  });
});
