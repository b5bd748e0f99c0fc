/** Migrations that are sent one behind the other: what of them stays when one does not go through. */
import { expect, test } from "bun:test";
import { withMutant } from "../support/faults.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, type RunOptions, withUrl } from "../support/headgate.ts";
import type { Mutation } from "../support/mutant.ts";
import { asRole, query, tablesOf } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();
const LEDGER = "public.headgate_migrations";

/** Tables t1 to tN, one migration each, but for those that are given. */
function tables(count: number, others: Readonly<Record<number, string>>): string {
  const files: Record<string, string> = {};
  for (let version = 1; version <= count; version += 1) {
    const name = `${String(version).padStart(4, "0")}_m.sql`;
    files[name] = others[version] ?? `create table t${version} ();`;
  }
  return migrationFolder(files);
}

async function appliedIn(url: string): Promise<readonly number[]> {
  const rows = await query(url, "select version from headgate_migrations order by version");
  return rows.map(({ version }) => Number(version));
}

function said(run: Run): string {
  return String(eventOf(run, "command.failed")?.["reason"]);
}

function announced({ events }: Run): readonly unknown[] {
  return events.filter(({ event }) => event === "migration.applied").map(({ version }) => version);
}

const FAILS: readonly [what: string, sql: string, code: string][] = [
  ["fails", "select 1;\nselect 1 / 0;", "22012"],
  ["cannot be read", "create tabel t4 ();", "42601"],
  [
    "fails at COMMIT",
    `create table t4 (id int primary key, other int references t4 deferrable initially deferred);
insert into t4 values (1, 2);`,
    "23503",
  ],
];
test.each(FAILS)("one that %s ends the row there", async (_what, sql, code) => {
  const { url } = await servers.postgres.createDatabase();
  const run = await headgate(["up", "--dir", tables(30, { 4: sql })], withUrl(url));
  expect(run.status).toBe(4);
  expect(said(run)).toContain("Cannot apply 0004_m.sql");
  expect(said(run)).toContain(code);
  expect(announced(run)).toEqual([1, 2, 3]);
  expect(await appliedIn(url)).toEqual([1, 2, 3]);
  expect(await tablesOf(url)).toEqual([LEDGER, "public.t1", "public.t2", "public.t3"]);
});

test("the place of an error is the place in the file", async () => {
  const { url } = await servers.postgres.createDatabase();
  const dir = tables(2, { 2: "create table t2 ();\nselect nothing from t2;" });
  const run = await headgate(["up", "--dir", dir], withUrl(url));
  expect(said(run)).toContain("0002_m.sql:2:8");
});

test("limits, role and search path of one are not the next one's", async () => {
  const { url } = await servers.postgres.createDatabase();
  const role = await servers.postgres.createRole();
  const dir = migrationFolder({
    "1_a.sql": `create schema side; grant all on schema side to ${role.user};`,
    "2_b.sql": `set local search_path = side; set local role ${role.user}; set local lock_timeout = '7s';`,
    "3_c.sql":
      "create table c as select current_user::text as who, current_setting('lock_timeout') as patience;",
  });
  const run = await headgate(["up", "--dir", dir, "--lock-timeout", "3s"], withUrl(url));
  expect(run.status, run.stderr).toBe(0);
  const [row] = await query(url, "select * from public.c, session_user as me");
  expect(row).toMatchObject({ patience: "3s" });
  expect(row?.["who"]).toBe(row?.["me"]);
});

test("one that takes all settings back is applied all the same, once", async () => {
  const { url } = await servers.postgres.createDatabase();
  const dir = tables(4, { 2: "do $$ begin create table t2 (); execute 'reset all'; end $$;" });
  const run = await headgate(["up", "--dir", dir], withUrl(url));
  expect(run.status, run.stderr).toBe(0);
  expect(announced(run)).toEqual([1, 2, 3, 4]);
  expect(await appliedIn(url)).toEqual([1, 2, 3, 4]);
});

test("one that ends its transaction leaves a failed row, and none behind it has run", async () => {
  // With the setting off, as old roles have it, `\\'` does not end the string and COMMIT is a statement.
  const trick = "create table w (); select 'a\\' , ' ; commit; select 1 --'";
  const { url } = await servers.postgres.createDatabase();
  const role = await servers.postgres.createRole({ attributes: "superuser" });
  await query(url, `alter role ${role.user} set standard_conforming_strings = off`);
  const dir = tables(4, { 2: trick });
  const run = await headgate(["up", "--dir", dir], withUrl(asRole(url, role)));
  expect(run.status).toBe(4);
  expect(said(run)).toContain("Cannot vouch for 0002_m.sql");
  const rows = await query(url, "select version, state from headgate_migrations order by version");
  expect(rows).toEqual([
    { version: "1", state: "applied" },
    { version: "2", state: "failed" },
  ]);
  expect(await tablesOf(url)).toEqual([LEDGER, "public.t1", "public.w"]);
});

test("where the ledger is not as it was decided upon, the next one does not run", async () => {
  const stranger = `insert into headgate_migrations (version, name, checksum, history, state)
values (99, 'of_another', 'x', 'x', 'applied');`;
  const dir = tables(4, { 2: stranger });
  const play = async (
    options: Pick<RunOptions, "binary"> = {},
  ): Promise<readonly [status: number, tables: number]> => {
    const { url } = await servers.postgres.createDatabase();
    const run = await headgate(["up", "--dir", dir], {
      ...withUrl(url),
      ...options,
    });
    return [run.status, (await tablesOf(url)).length];
  };
  expect(await play()).toEqual([5, 2]);
  const blind: Mutation = {
    file: "db/next-transaction.ts",
    find: "else 'headgate: the ledger moved'",
    replace: "else 'true'",
  };
  await withMutant([blind], async (mutant) => expect(await play(mutant)).toEqual([0, 4]));
});
