/**
 * A pooler that pools statements allows no transaction, so it can carry what needs none: probe,
 * status and the fast path. A pending migration is refused there, by everybody, before anything runs.
 */
import { expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, withUrl } from "../support/headgate.ts";
import { tablesOf } from "../support/query.ts";
import { aftermath, race, witnessMigrations } from "../support/race.ts";
import { useServers } from "../support/use-servers.ts";

const dir = migrationFolder(witnessMigrations(3));
const UP = ["up", "--dir", dir];

const servers = useServers({ poolMode: "statement", poolSize: 2 });

test.each([2, 6, 24])(
  "%d processes on an empty database are all refused, and touch nothing",
  async (count) => {
    const database = await servers.postgres.createDatabase();
    const { runs } = await race(count, UP, withUrl(servers.pool.urlOf(database)));
    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => 2));
    const failed = eventOf(runs[0] ?? (await headgate(UP)), "command.failed");
    expect(failed?.["reason"]).toContain("it pools statements");
    expect(failed?.["hint"]).toContain("MIGRATION_DATABASE_URL");
    expect(await tablesOf(database.url)).toEqual([]);
  },
  60_000,
);

test("24 processes at head take the fast path, and the probe answers 0", async () => {
  const database = await servers.postgres.createDatabase();
  expect((await headgate(UP, withUrl(database.url))).status).toBe(0);
  const { runs } = await race(24, UP, withUrl(servers.pool.urlOf(database)));
  expect(runs.filter(({ status }) => status !== 0).map(({ stderr }) => stderr)).toEqual([]);
  const probe = await headgate(["probe", "--dir", dir], withUrl(servers.pool.urlOf(database)));
  expect(probe.status).toBe(0);
}, 60_000);

test("with a way past the pooler for the gate, 24 processes race as anywhere", async () => {
  const database = await servers.postgres.createDatabase();
  const env = { MIGRATION_DATABASE_URL: database.url };
  const { runs } = await race(24, UP, withUrl(servers.pool.urlOf(database), env));
  expect(runs.filter(({ status }) => status !== 0).map(({ stderr }) => stderr)).toEqual([]);
  expect(await aftermath(database.url)).toEqual({
    applied: [1, 2, 3],
    advisoryLocks: 0,
    idleInTransaction: 0,
  });
}, 60_000);
