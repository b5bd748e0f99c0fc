/**
 * Negative controls of `non-transactional.test.ts`: the same situations with one mechanism broken.
 * If one of these is green without its damage, the tests there cannot see that damage either.
 */
import { expect, test } from "bun:test";
import {
  BUILD,
  builderPid,
  holdSnapshot,
  indexState,
  outsideFolder,
  rowOf,
  untilBuilding,
} from "../support/build.ts";
import { eventOf, headgate, type RunOptions, start, withUrl } from "../support/headgate.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { asRole, query, until } from "../support/query.ts";
import { appliers } from "../support/race.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers({ poolSize: 2 });
const BUILD_UP = ["up", "--dir", outsideFolder(BUILD)];
const SLEEP_UP = ["up", "--dir", outsideFolder("select pg_sleep(2);")];
const IS_ASLEEP =
  "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
const OTHER_RUN = "00000000-0000-4000-8000-000000000009";

async function withMutant(
  mutations: readonly Mutation[],
  use: (options: Pick<RunOptions, "binary">) => Promise<void>,
): Promise<void> {
  const { binary, remove } = await buildMutant(...mutations);
  try {
    await use({ binary });
  } finally {
    remove();
  }
}

async function leaveInvalidIndex(url: string): Promise<void> {
  expect((await headgate([...BUILD_UP, "--to", "1"], withUrl(url))).status).toBe(0);
  await query(url, "insert into t values (1)");
  await query(url, "create unique index concurrently t_c on t (c)").catch(() => []);
  await query(url, "delete from t where c = 1");
  expect(await indexState(url)).toBe("invalid");
}

const UNIQUE_UP = ["up", "--dir", outsideFolder("create unique index concurrently t_c on t (c);")];

test("without looking at the index first, an invalid one stays", async () => {
  const { url } = await servers.postgres.createDatabase();
  await leaveInvalidIndex(url);
  const blind: Mutation = {
    file: "flow/build-index.ts",
    find: "const before = await settledIndex(work, wanted);",
    replace: "const before = undefined as IndexState | undefined;",
  };
  await withMutant([blind], async (mutant) => {
    const run = await headgate(UNIQUE_UP, { ...withUrl(url), ...mutant });
    expect(run.status).toBe(4);
    expect(await indexState(url)).toBe("invalid");
  });
  await query(url, "delete from headgate_migrations where version = 2");
  expect((await headgate(UNIQUE_UP, withUrl(url))).status).toBe(0);
  expect(await indexState(url)).toBe("valid");
}, 90_000);

test("by its name alone, an invalid index passes for a finished one", async () => {
  const { url } = await servers.postgres.createDatabase();
  await leaveInvalidIndex(url);
  const credulous: Mutation = {
    file: "db/build-index.ts",
    find: "i.indisvalid and i.indisready as is_usable",
    replace: "true as is_usable",
  };
  await withMutant([credulous], async (mutant) => {
    const run = await headgate(UNIQUE_UP, { ...withUrl(url), ...mutant });
    expect(run.status).toBe(0);
    expect(await indexState(url)).toBe("invalid");
  });
}, 90_000);

const LIVES: Mutation = {
  file: "flow/state.ts",
  find: "alive: await isAlive(connection, place, row, ownPid)",
  replace: "alive: false && ownPid === 0",
};

test("without looking for its signs of life, a living runner passes for a dead one", async () => {
  const { url } = await servers.postgres.createDatabase();
  await withMutant([LIVES], async (mutant) => {
    const runner = start(SLEEP_UP, withUrl(url));
    await until(url, IS_ASLEEP);
    expect((await headgate(SLEEP_UP, { ...withUrl(url), ...mutant })).status).toBe(4);
    expect((await runner.done).status).toBe(0);
  });
}, 90_000);

test("without its signs of life, a runner that recovers ends the build of one that lives", async () => {
  const { url } = await servers.postgres.createDatabase();
  const holder = await holdSnapshot(url);
  const keyless: Mutation = {
    file: "db/gate.ts",
    find: 'if (rows[0]?.["acquired"] === true) return Number(rows[0]["pid"]);',
    replace: 'if (rows.length === 1) return Number(rows[0]?.["pid"]);',
  };
  const hasty: Mutation = {
    file: "db/build-index.ts",
    find: "s.pid <> a.pid and s.state <> 'idle'",
    replace: "false",
  };
  await withMutant([LIVES, keyless, hasty], async (mutant) => {
    const runner = start(BUILD_UP, withUrl(url));
    await untilBuilding(url);
    const builder = await builderPid(url);
    const rival = start([...BUILD_UP, "--cancel-orphaned-build"], { ...withUrl(url), ...mutant });
    await untilBuilding(url, `pid <> ${builder}`);
    await holder.release();
    const cancelled = eventOf(await rival.done, "build.cancelled");
    expect(cancelled?.["pid"]).toBe(builder);
    await runner.done;
  });
}, 90_000);

test("without the fence, a runner writes over a row that is another's", async () => {
  const { url } = await servers.postgres.createDatabase();
  const noFence: Mutation = {
    file: "db/build-row.ts",
    find: "and state = 'running' and run_id = $2::uuid",
    replace: "and $2::uuid is not null",
  };
  await withMutant([noFence], async (mutant) => {
    const runner = start(SLEEP_UP, { ...withUrl(url), ...mutant });
    await until(url, IS_ASLEEP);
    await query(
      url,
      `update headgate_migrations set state = 'failed', run_id = '${OTHER_RUN}' where version = 2`,
    );
    const run = await runner.done;
    expect(appliers([run]).get(2)).toBe(1);
    expect(await rowOf(url)).toMatchObject({ state: "applied", run_id: OTHER_RUN });
  });
}, 90_000);

test("with a snapshot in the transaction that shows life, the build waits for its own runner", async () => {
  const { url } = await servers.postgres.createDatabase();
  const withSnapshot: Mutation = {
    file: "db/gate-settings.ts",
    find: "begin isolation level read committed",
    replace: "begin isolation level repeatable read",
  };
  await withMutant([withSnapshot], async (mutant) => {
    const run = await headgate([...BUILD_UP, "--deadline", "6s"], { ...withUrl(url), ...mutant });
    expect(run.status).toBe(6);
    expect((await rowOf(url))?.["state"]).toBe("running");
  });
}, 90_000);

test("without asking whether a third client gets through, a build starves a pool of 2", async () => {
  const database = await servers.postgres.createDatabase();
  const url = servers.pool.urlOf(database);
  const greedy: Mutation = {
    file: "flow/build-signal.ts",
    find: "if (!(await hasRoom(wish)))",
    replace: "if (wish.runId === '')",
  };
  await withMutant([greedy], async (mutant) => {
    const holder = await holdSnapshot(database.url);
    const runner = start(BUILD_UP, { ...withUrl(url), ...mutant });
    await untilBuilding(database.url);
    const third = query(url, "select 1");
    const first = await Promise.race([third.then(() => "served"), Bun.sleep(2000)]);
    expect(first).toBeUndefined();
    await holder.release();
    await third;
    expect((await runner.done).status).toBe(0);
  });
}, 90_000);

test("without the progress view, another role's orphaned build passes for nobody's", async () => {
  const { url } = await servers.postgres.createDatabase();
  const stranger = await servers.postgres.createRole({ password: "geheim" });
  const holder = await holdSnapshot(url);
  const victim = start(BUILD_UP, withUrl(url));
  await untilBuilding(url);
  victim.kill("SIGKILL");
  await victim.done;
  await query(url, `grant select on headgate_migrations to ${stranger.user}`);
  const shortSighted: Mutation = {
    file: "db/liveness.ts",
    find: "a.query = '<insufficient privilege>'",
    replace: "false",
  };
  await withMutant([shortSighted], async (mutant) => {
    const options = { ...withUrl(asRole(url, stranger)), ...mutant };
    const run = await headgate(["status", ...BUILD_UP.slice(1), "--exit-code"], options);
    expect(run.status).toBe(4);
  });
  await holder.release();
}, 90_000);
