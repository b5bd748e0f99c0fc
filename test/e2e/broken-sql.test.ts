/** Migrations that the server or headgate refuses: where the caret points, and that nothing of them stays. */
import { describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { asRole, query, tablesOf } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const LEDGER = "public.headgate_migrations";
const said = (run: Run): string => String(eventOf(run, "command.failed")?.["reason"]);
const versionsOf = async (url: string): Promise<number[]> =>
  (await query(url, "select version from headgate_migrations order by 1")).map((row) =>
    Number(row["version"]),
  );

/** Where the message says it is, and the text that its caret stands under. */
function pointedAt(message: string): { place: string | undefined; text: string } {
  const lines = message.split("\n");
  const at = lines.findIndex((line) => /^ +\|\s+\^$/.test(line));
  const column = (lines[at] ?? "").indexOf("^");
  return {
    place: /^\S+:\d+:\d+/.exec(lines[at - 2] ?? "")?.[0],
    text: [...(lines[at - 1] ?? "")].slice(column).join(""),
  };
}

describe("the caret of the server's error stands", () => {
  const cases: readonly [where: string, sql: string, place: string, text: string][] = [
    ["in the first line", "select nosuch;", "1:8", "nosuch;"],
    ["in a later line", "create table a ();\n\n  create tabel b ();", "3:10", "tabel b ();"],
    ["behind a tab", "\tselect nosuch;", "1:9", "nosuch;"],
    ["behind text outside ASCII", "-- größer 👍\nselect 'äöü👍', nosuch;", "2:16", "nosuch;"],
    ["in a file with CRLF", "select 1;\r\nselect nosuch;\r\n", "2:8", "nosuch;"],
    ["in a file with a byte-order mark", "\uFEFFselect nosuch;", "1:8", "nosuch;"],
    ["below a marker", "-- migrate:up\nselect nosuch;\n-- migrate:down\n", "2:8", "nosuch;"],
    ["in the second of two statements", "select 'ok'; select nosuch", "1:21", "nosuch"],
  ];
  test.each(cases)("%s", async (_where, sql, place, text) => {
    const { url } = await servers.postgres.createDatabase();
    const run = await headgate(["up", "--dir", migrationFolder({ "1_x.sql": sql })], withUrl(url));
    expect(run.status).toBe(4);
    expect(pointedAt(said(run))).toEqual({ place: `1_x.sql:${place}`, text });
    expect(await tablesOf(url)).toEqual([]);
  });

  test("in a down part, which leaves table and row", async () => {
    const { url } = await servers.postgres.createDatabase();
    const sql = "-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\nselect nosuch;";
    const dir = migrationFolder({ "1_x.sql": sql });
    expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
    const run = await headgate(["down", "--dir", dir], withUrl(url));
    expect(run.status).toBe(4);
    expect(said(run)).toStartWith("Cannot revert 1_x.sql: ");
    expect(pointedAt(said(run))).toEqual({ place: "1_x.sql:5:8", text: "nosuch;" });
    expect(await tablesOf(url)).toEqual(["public.a", LEDGER]);
    expect(await versionsOf(url)).toEqual([1]);
  });
});

test("what came before a broken migration stays, with its row, and a corrected file goes on", async () => {
  const { url } = await servers.postgres.createDatabase();
  const first = { "1_a.sql": "create table a ();" };
  const up = (second: string): Promise<Run> =>
    headgate(["up", "--dir", migrationFolder({ ...first, "2_b.sql": second })], withUrl(url));
  expect((await up("create table b (); select 1/0;")).status).toBe(4);
  expect(await tablesOf(url)).toEqual(["public.a", LEDGER]);
  expect(await versionsOf(url)).toEqual([1]);
  expect((await up("create table b ();")).status).toBe(0);
  expect(await versionsOf(url)).toEqual([1, 2]);
});

test("a constraint that fails at COMMIT is a failed migration, and nothing of it stays", async () => {
  const { url } = await servers.postgres.createDatabase();
  const sql =
    "create table p (id int primary key deferrable initially deferred); insert into p values (1), (1);";
  const run = await headgate(["up", "--dir", migrationFolder({ "1_p.sql": sql })], withUrl(url));
  expect(run.status).toBe(4);
  expect(said(run)).toContain("1_p.sql");
  expect(said(run)).toContain("23505");
  expect(await tablesOf(url)).toEqual([]);
});

describe("refused before anything runs, with a caret:", () => {
  const cases: readonly [sql: string, place: string, says: string][] = [
    ["create table b (); commit;", "1:20", "COMMIT is refused"],
    ["begin;\ncreate table b ();\nend;", "1:1", "BEGIN is refused"],
    ["create table b ();\nrollback;", "2:1", "ROLLBACK is refused"],
    ["prepare transaction 'x';", "1:1", "PREPARE TRANSACTION is refused"],
    ["set search_path = b;", "1:1", "SET is refused"],
    ["/* ä */ set session role app;", "1:9", "SET SESSION is refused"],
    ["reset all;", "1:1", "RESET is refused"],
    ["discard all;", "1:1", "DISCARD is refused"],
    ["select set_config('role', 'app', false);", "1:8", "set_config(…, false) is refused"],
    ["copy b from stdin;", "1:1", "COPY FROM STDIN is refused"],
    ["\\connect other", "1:1", "\\connect is refused"],
  ];
  test.each(cases)("%p", async (sql, place, says) => {
    const { url } = await servers.postgres.createDatabase();
    const dir = migrationFolder({ "1_a.sql": "create table a ();", "2_b.sql": sql });
    for (const command of ["up", "plan"]) {
      const run = await headgate([command, "--dir", dir], withUrl(url));
      expect(run.status).toBe(2);
      expect(said(run)).toContain(`2_b.sql:${place}: ${says}`);
    }
    expect(await tablesOf(url)).toEqual([]);
  });

  test("every offender of every pending file, transaction:false too", async () => {
    const { url } = await servers.postgres.createDatabase();
    const files = {
      "1_a.sql": "commit; reset all;",
      "2_b.sql": "select 1;",
      "3_c.sql": "-- headgate: transaction:false\ncreate index concurrently on a (b);",
      "4_d.sql": "create index concurrently i on a (b);",
    };
    const run = await headgate(["up", "--dir", migrationFolder(files)], withUrl(url));
    expect(run.status).toBe(2);
    expect(said(run)).toContain("4 problems");
    const places = ["1_a.sql:1:1: ", "1_a.sql:1:9: ", "3_c.sql:2:1: ", "4_d.sql:1:1: "];
    for (const text of [...places, "with transaction:false on its marker"]) {
      expect(said(run)).toContain(text);
    }
    expect(await tablesOf(url)).toEqual([]);
  });

  test("but not a migration that is applied already", async () => {
    const { url } = await servers.postgres.createDatabase();
    const dir = migrationFolder({ "1_a.sql": "set local role none; savepoint s; rollback to s;" });
    expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
    expect((await headgate(["plan", "--dir", dir], withUrl(url))).status).toBe(0);
  });
});

describe("a body that commits behind the reader's back", () => {
  /** With the setting off, as old roles have it, `\'` does not end the string and COMMIT is a statement. */
  const TRICK = "select 'a\\' , ' ; commit; select 1 --'";

  async function openUrl(): Promise<string> {
    const { url } = await servers.postgres.createDatabase();
    const role = await servers.postgres.createRole({ attributes: "superuser" });
    await query(url, `alter role ${role.user} set standard_conforming_strings = off`);
    return asRole(url, role);
  }

  test("up exits 4 and leaves a row that stops everybody, until a person settles it", async () => {
    const url = await openUrl();
    const dir = migrationFolder({
      "1_w.sql": `create table w (); ${TRICK}`,
      "2_x.sql": "select 1",
    });
    const ask = (...args: string[]): Promise<Run> =>
      headgate([...args, "--dir", dir], withUrl(url));
    const first = await ask("up");
    expect(first.status).toBe(4);
    expect(said(first)).toContain("1_w.sql");
    expect(await tablesOf(url)).toEqual([LEDGER, "public.w"]);

    const rows = await query(url, "select version, state, error from headgate_migrations");
    expect(rows).toMatchObject([{ version: "1", state: "failed", error: expect.any(String) }]);
    expect((await ask("up")).status).toBe(4);
    expect((await ask("probe")).status).toBe(1);
    expect((await ask("status", "--exit-code")).status).toBe(4);
    expect(JSON.parse((await ask("status", "--json")).stdout).state).toBe("interrupted");

    await query(url, "update headgate_migrations set state = 'applied' where version = 1");
    expect((await ask("up")).status).toBe(0);
    expect((await ask("probe")).status).toBe(0);
  });

  test("down exits 4, and its row stops everybody too", async () => {
    const url = await openUrl();
    const sql = `-- migrate:up\ncreate table w ();\n-- migrate:down\ndrop table w; ${TRICK}`;
    const dir = migrationFolder({ "1_w.sql": sql });
    expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
    const down = await headgate(["down", "--dir", dir], withUrl(url));
    expect(down.status).toBe(4);
    expect(said(down)).toContain("1_w.sql");
    expect(await tablesOf(url)).toEqual([LEDGER]);
    expect((await headgate(["probe", "--dir", dir], withUrl(url))).status).toBe(1);
    expect((await headgate(["down", "--dir", dir], withUrl(url))).status).toBe(4);
  });
});
