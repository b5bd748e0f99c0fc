/**
 * Negative controls of `race.test.ts`: the same race with the mechanism broken. If one of these is
 * green without its damage, the race test cannot see that damage either.
 */
import { expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { type Run, withUrl } from "../support/headgate.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { aftermath, race, witnessMigrations } from "../support/race.ts";
import { useServers } from "../support/use-servers.ts";

const PROCESSES = 12;
const ROUNDS = 5;
const dir = migrationFolder(witnessMigrations(6));

const NO_TRANSACTION_LOCK: Mutation = {
  file: "db/gate.ts",
  find: "const own = `pg_try_advisory_xact_lock(",
  replace: "const own = `true or pg_try_advisory_xact_lock(",
};
const SESSION_LOCK: Mutation = {
  file: "db/gate.ts",
  find: "const own = `pg_try_advisory_xact_lock(",
  replace: "const own = `pg_try_advisory_lock(",
};
const NO_LEDGER_LOCK: Mutation = {
  file: "db/gate.ts",
  find: "in share row exclusive mode`",
  replace: "in access share mode`",
};

const servers = useServers({ poolSize: 2 });

interface Damage {
  readonly failed: readonly Run[];
  readonly advisoryLocks: number;
  readonly doubled: boolean;
}

async function raceOnce(binary: string): Promise<Damage> {
  const database = await servers.postgres.createDatabase();
  const { runs } = await race(PROCESSES, ["up", "--dir", dir, "--lock-wait", "2s"], {
    ...withUrl(servers.pool.urlOf(database)),
    binary,
  });
  const { applied, advisoryLocks } = await aftermath(database.url);
  return {
    failed: runs.filter(({ status }) => status !== 0),
    advisoryLocks,
    doubled: new Set(applied).size !== applied.length,
  };
}

/** Races until the damage shows; a race may be lucky once, not five times in a row. */
async function raceUntil(
  mutations: readonly Mutation[],
  isDamaged: (damage: Damage) => boolean,
): Promise<boolean> {
  const { binary, remove } = await buildMutant(...mutations);
  try {
    for (let round = 1; round <= ROUNDS; round += 1) {
      if (isDamaged(await raceOnce(binary))) return true;
    }
    return false;
  } finally {
    remove();
  }
}

test("without the gate, processes fail or apply twice", async () => {
  const isDamaged = await raceUntil(
    [NO_TRANSACTION_LOCK, NO_LEDGER_LOCK],
    ({ failed, doubled }) => failed.length > 0 || doubled,
  );
  expect(isDamaged).toBe(true);
}, 180_000);

test("with a session-level lock, a lock outlives its process or two runners are inside", async () => {
  const isDamaged = await raceUntil(
    [SESSION_LOCK, NO_LEDGER_LOCK],
    ({ failed, doubled, advisoryLocks }) => advisoryLocks > 0 || failed.length > 0 || doubled,
  );
  expect(isDamaged).toBe(true);
}, 180_000);

test("the mutant machinery itself builds a binary that races well", async () => {
  const { binary, remove } = await buildMutant();
  try {
    const damage = await raceOnce(binary);
    expect(damage).toEqual({ failed: [], advisoryLocks: 0, doubled: false });
  } finally {
    remove();
  }
}, 60_000);
