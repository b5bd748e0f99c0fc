/** How often each command waits for an answer. A count is stable where a time is not. */
import { expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { BINARY, headgate, withUrl } from "../support/headgate.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { asRole, query, tablesOf } from "../support/query.ts";
import { openRelay } from "../support/relay.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

/** Time enough for everything that is sent without waiting. */
const ANSWER_DELAY_MS = 25;

function light(count: number): string {
  const files: Record<string, string> = { "0001_t.sql": "create table t ();\n" };
  for (let version = 2; version <= count; version += 1) {
    files[`${String(version).padStart(4, "0")}_step.sql`] = `comment on table t is '${version}';\n`;
  }
  return migrationFolder(files);
}

/** Round trips of one command, login included. */
async function tripsOf(url: string, args: readonly string[]): Promise<number> {
  const relay = await openRelay(servers.postgres, ANSWER_DELAY_MS);
  const through = new URL(url);
  through.host = `${relay.host}:${relay.port}`;
  const run = await headgate(args, withUrl(`${through.href}?sslmode=disable`));
  const turns = relay.turns();
  await relay.close();
  expect(run.status, run.stderr).toBe(0);
  return turns;
}

test("up does not wait for each migration, and a probe waits four times in all", async () => {
  const upTrips: number[] = [];
  for (const count of [2, 12, 102]) {
    const { url } = await servers.postgres.createDatabase();
    const dir = light(count);
    upTrips.push(await tripsOf(url, ["up", "--dir", dir]));
    expect(await tripsOf(url, ["up", "--dir", dir])).toBeLessThanOrEqual(6);
    expect(await tripsOf(url, ["probe", "--dir", dir])).toBeLessThanOrEqual(4);
  }
  const [few = 0, some = 0, many = 0] = upTrips;
  expect((some - few) / 10).toBeLessThanOrEqual(0.3);
  expect((many - few) / 100).toBeLessThanOrEqual(0.2);
}, 60_000);

/** Runs with the binary as it is and with one mechanism broken. */
async function bothWays<T>(
  mutation: Mutation,
  play: (binary: string) => Promise<T>,
): Promise<readonly [sound: T, broken: T]> {
  const mutant = await buildMutant(mutation);
  try {
    return [await play(BINARY), await play(mutant.binary)];
  } finally {
    mutant.remove();
  }
}

test("no COMMIT without the row: what a body begins after it ended its transaction is undone", async () => {
  // With the setting off, as old roles have it, `\\'` does not end the string and COMMIT is a statement.
  const dir = migrationFolder({
    "1_w.sql":
      "create table w (); select 'a\\' , ' ; commit; begin; create table second (); select 1 --'",
  });
  const play = async (binary: string): Promise<readonly string[]> => {
    const { url } = await servers.postgres.createDatabase();
    const role = await servers.postgres.createRole({ attributes: "superuser" });
    await query(url, `alter role ${role.user} set standard_conforming_strings = off`);
    await headgate(["up", "--dir", dir], { ...withUrl(asRole(url, role)), binary });
    return tablesOf(url);
  };
  const [sound, broken] = await bothWays(
    {
      file: "db/record.ts",
      find: "pg_current_xact_id()::text = coalesce($9::text, current_setting('headgate.xact', true))",
      replace: "$9::text is null or true",
    },
    play,
  );
  expect(sound).toEqual(["public.headgate_migrations", "public.w"]);
  expect(broken).toContain("public.second");
}, 60_000);

test("a step that knows the rows before reads them again when the last one is another", async () => {
  const files = { "1_a.sql": "create table a ();", "2_b.sql": "create table b ();" };
  const before = migrationFolder(files);
  const dir = migrationFolder({
    ...files,
    "3_meddle.sql":
      "update headgate_migrations set checksum = 'x' where version = 1; update headgate_migrations set run_id = null where version = 2;",
  });
  const play = async (binary: string): Promise<number> => {
    const { url } = await servers.postgres.createDatabase();
    await headgate(["up", "--dir", before], { ...withUrl(url), binary });
    return (await headgate(["up", "--dir", dir], { ...withUrl(url), binary })).status;
  };
  const known = "isSameRow(rest[0], tip)";
  const [sound, broken] = await bothWays(
    { file: "flow/state.ts", find: `&& ${known}`, replace: "" },
    play,
  );
  expect([sound, broken]).toEqual([5, 0]);
}, 60_000);
