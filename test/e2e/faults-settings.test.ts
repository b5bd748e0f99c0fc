/** What role, database or server were told about sessions in general, and what it does to ours. */
import { expect, test } from "bun:test";
import {
  holdSnapshot,
  indexState,
  outsideFolder,
  untilBuilding,
  WITNESSED,
  witnesses,
} from "../support/build.ts";
import { expectConverged, lastWords, sleepyFolder, withMutant } from "../support/faults.ts";
import { migrationFolder } from "../support/folder.ts";
import {
  eventOf,
  headgate,
  type Run,
  type RunOptions,
  start,
  withUrl,
} from "../support/headgate.ts";
import { holdOpen } from "../support/lock-holder.ts";
import type { Mutation } from "../support/mutant.ts";
import { asRole, query, tablesOf } from "../support/query.ts";
import { race } from "../support/race.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const LONG_MS = 120_000;
const sleepy = sleepyFolder(2.5);
const outside = outsideFolder(WITNESSED);

/** A database, and the same one as a role that may do everything in it and has these settings. */
async function openAs(...settings: readonly string[]): Promise<{ url: string; theirs: string }> {
  const { url } = await servers.postgres.createDatabase();
  const role = await servers.postgres.createRole();
  const alter = settings.map((setting) => `alter role ${role.user} set ${setting}`);
  await query(url, [`grant all on schema public to ${role.user}`, ...alter].join(";"));
  return { url, theirs: asRole(url, role) };
}

test.concurrent.each([
  ["statement_timeout = '1s'"],
  ["lock_timeout = '1ms'"],
  ["idle_in_transaction_session_timeout = '1s'"],
  ["default_transaction_isolation = 'repeatable read'"],
  ["default_transaction_isolation = 'serializable'"],
  ["default_transaction_deferrable = on"],
])(
  "%s on the role: four runners migrate as ever",
  async (setting) => {
    const { url, theirs } = await openAs(setting);
    const { runs } = await race(4, ["up", "--dir", sleepy], withUrl(theirs));
    expect(runs.map(({ status, stderr }) => [status, stderr])).toEqual(
      runs.map(() => [0, expect.not.stringContaining("command.failed")]),
    );
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

test.concurrent.each([["repeatable read"], ["serializable"]])(
  "default_transaction_isolation = '%s' on the role: an index is built, and nobody waits for himself",
  async (level) => {
    const { url, theirs } = await openAs(`default_transaction_isolation = '${level}'`);
    const { runs } = await race(3, ["up", "--dir", outside], withUrl(theirs));
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0]);
    expect([await witnesses(url), await indexState(url)]).toEqual([1, "valid"]);
  },
  LONG_MS,
);

/** A build that lasts longer than the pause between two beats. */
async function buildLong(
  url: string,
  theirs: string,
  options: Pick<RunOptions, "binary"> = {},
): Promise<Run> {
  const snapshot = await holdSnapshot(url);
  const runner = start(["up", "--dir", outside], { ...withUrl(theirs), ...options });
  await untilBuilding(url);
  await Bun.sleep(7000);
  await snapshot.release();
  return runner.done;
}

test.concurrent(
  "idle_in_transaction_session_timeout = '1s' on the role: the sign of life outlasts it",
  async () => {
    const { url, theirs } = await openAs("idle_in_transaction_session_timeout = '1s'");
    const run = await buildLong(url, theirs);
    expect([run.status, eventOf(run, "connection.lost")]).toEqual([0, undefined]);
    expect([await witnesses(url), await indexState(url)]).toEqual([1, "valid"]);
  },
  LONG_MS,
);

test.concurrent(
  "without a limit of our own, the role's ends the sign of life",
  async () => {
    const { url, theirs } = await openAs("idle_in_transaction_session_timeout = '1s'");
    const bare: Mutation = {
      file: "db/gate-settings.ts",
      find: "set local idle_in_transaction_session_timeout = ",
      replace: "select ",
    };
    const run = await withMutant([bare], (mutant) => buildLong(url, theirs, mutant));
    expect(eventOf(run, "connection.lost")?.["reason"]).toContain("shows we live");
    expect([await witnesses(url), await indexState(url)]).toEqual([1, "valid"]);
  },
  LONG_MS,
);

test.concurrent(
  "a statement_timeout of the role that ends our own questions: 7, and the setting by name",
  async () => {
    const { url, theirs } = await openAs("statement_timeout = '300ms'");
    expect((await headgate(["up", "--dir", sleepy], withUrl(theirs))).status).toBe(0);
    const holder = await holdOpen(url, "lock table headgate_migrations in access exclusive mode");
    for (const command of ["status", "plan"]) {
      const run = await headgate([command, "--dir", sleepy], withUrl(theirs));
      expect(run.status).toBe(7);
      expect(lastWords(run)).toEqual({
        reason: expect.stringMatching(/^Cannot use the ledger .*SQLSTATE 57014/),
        hint: expect.stringContaining("statement_timeout"),
      });
    }
    await holder.release();
    await expectConverged(url, sleepy);
  },
  LONG_MS,
);

test.concurrent.each([
  ["''", 2, /no schema of the search path/],
  ["nowhere", 2, /no schema of the search path \(nowhere\)/],
  ["pg_temp", 2, /leads to pg_temp_\d+, which is the server's own/],
  ["pg_catalog, public", 2, /leads to pg_catalog, which is the server's own/],
  ['"$user", public', 0, /undefined/],
  ["nowhere, public", 0, /undefined/],
] as const)(
  "search_path = %s on the role: exit %d",
  async (path, status, says) => {
    const { url, theirs } = await openAs(`search_path = ${path}`);
    const dir = migrationFolder({ "1_a.sql": "create table a ();" });
    const run = await headgate(["up", "--dir", dir], withUrl(theirs));
    expect([run.status, lastWords(run).reason]).toEqual([status, expect.stringMatching(says)]);
    const made = ["public.a", "public.headgate_migrations"];
    expect(await tablesOf(url)).toEqual(status === 0 ? made : []);
    await query(
      url,
      `alter role ${decodeURIComponent(new URL(theirs).username)} reset search_path`,
    );
    expect((await headgate(["up", "--dir", dir], withUrl(theirs))).status).toBe(0);
    expect(await tablesOf(url)).toEqual(made);
  },
  LONG_MS,
);
