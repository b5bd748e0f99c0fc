/**
 * Negative controls of `seed-race.test.ts`. Two things keep seeders from writing a row twice: the
 * gate, and behind it the unique indexes with the savepoint in which a lost race ends. Each is shown
 * to do alone; without both, or without what makes the second one work, the same checks are red.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import { BINARY, type Run, withUrl } from "../support/headgate.ts";
import { holdOpen } from "../support/lock-holder.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { until } from "../support/query.ts";
import { race } from "../support/race.ts";
import {
  dropDatabase,
  EXPECTED,
  HALVES,
  type SeedCounts,
  seedCounts,
  type Template,
  templateAtHead,
  WITHOUT_RBAC_INDEXES,
  WITHOUT_UNIQUES,
} from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const SEEDERS = 6;
/** As often as `seed-race.test.ts` repeats its race of six. */
const ROUNDS = 50;
const CROWD_MS = 60_000;
/** No login is late because the machine is busy. */
const CONNECT_TIMEOUT = { HEADGATE_CONNECT_TIMEOUT: "60s" };

const NO_ADVISORY_LOCK: Mutation = {
  file: "db/gate.ts",
  find: "const own = `pg_try_advisory_xact_lock(",
  replace: "const own = `true or pg_try_advisory_xact_lock(",
};
/** The other half of the gate: it too lets only one transaction in. */
const NO_LEDGER_LOCK: Mutation = {
  file: "db/gate.ts",
  find: "in share row exclusive mode`",
  replace: "in access share mode`",
};
const NO_GATE: readonly Mutation[] = [NO_ADVISORY_LOCK, NO_LEDGER_LOCK];
/** Whoever waits for the crowd ends in a lost race, and not by running out of time. */
const PATIENCE: Mutation = {
  file: "db/gate-settings.ts",
  find: "const LEDGER_LOCK_MS = 2000;",
  replace: "const LEDGER_LOCK_MS = 60_000;",
};
const NO_FETCH: Mutation = {
  file: "db/savepoint.ts",
  find: "if (!isViolationOf(error, indexes)) throw error;",
  replace: "throw error;",
};
const NO_SAVEPOINT: readonly Mutation[] = [
  {
    file: "db/savepoint.ts",
    find: 'connection.run("savepoint one_row")',
    replace: 'connection.run("select 1")',
  },
  {
    file: "db/savepoint.ts",
    find: 'connection.run("release savepoint one_row")',
    replace: 'connection.run("select 1")',
  },
  {
    file: "db/savepoint.ts",
    find: '"rollback to savepoint one_row; release savepoint one_row"',
    replace: '"select 1"',
  },
];

const servers = useServers({ poolSize: 2 });
let indexed: Template;
let withoutRbacIndexes: Template;
let withoutUniques: Template;
let upToAccount: Template;
let upToGrants: Template;

beforeAll(async () => {
  indexed = await templateAtHead(servers.postgres);
  withoutRbacIndexes = await templateAtHead(servers.postgres, WITHOUT_RBAC_INDEXES);
  withoutUniques = await templateAtHead(servers.postgres, WITHOUT_UNIQUES);
  upToAccount = await templateAtHead(servers.postgres, HALVES.account);
  upToGrants = await templateAtHead(servers.postgres, HALVES.grants);
}, 120_000);

interface Seeding {
  readonly failed: readonly string[];
  readonly counts: SeedCounts;
  readonly runs: readonly Run[];
}

async function afterwards(url: string, runs: readonly Run[]): Promise<Seeding> {
  const failed = runs
    .filter(({ status }) => status !== 0)
    .map(({ status, stderr }) => `exit ${status}: ${stderr}`);
  return { failed, counts: await seedCounts(url), runs };
}

function having(event: string, runs: readonly Run[]): number {
  return runs.filter(({ events }) => events.some((each) => each.event === event)).length;
}

/** The race of `seed-race.test.ts`, on a database of its own. */
async function raceOnce(
  template: Template,
  how: {
    readonly count?: number;
    readonly binary?: string;
    readonly args?: readonly string[];
    readonly isPooled?: boolean;
  },
): Promise<Seeding> {
  const { count = SEEDERS, binary = BINARY, args = [], isPooled = false } = how;
  const database = await template.copy();
  const url = isPooled ? servers.pool.urlOf(database) : database.url;
  const { runs } = await race(count, ["seed", ...args], {
    ...withUrl(url, CONNECT_TIMEOUT),
    binary,
  });
  const seeding = await afterwards(database.url, runs);
  await dropDatabase(servers.postgres, database);
  return seeding;
}

/** Questions that a row answers with yes, asked in the database of the race. */
const SEVERAL_INSIDE = `select 1 from pg_stat_activity
where datname = current_database() and wait_event = 'relation'
  and query ~ '(insert into|update) ' having count(*) >= 3`;
/** A refused one sleeps after its question. */
const ONE_INSIDE_ONE_REFUSED = `select 1 from pg_stat_activity
where datname = current_database()
having count(*) filter (where wait_event_type = 'Lock') = 1
  and count(*) filter (where state = 'idle' and query like '%pg_try_advisory_xact_lock%') >= 1`;

/**
 * The race with its outcome fixed: whoever is inside has planned its rows and cannot write them
 * until `crowd` holds. From then on they write at once.
 */
async function raceInACrowd(
  template: Template,
  how: {
    readonly crowd: string;
    readonly binary: string;
    readonly args?: readonly string[];
    readonly table?: string;
  },
): Promise<Seeding> {
  const { crowd, binary, args = [], table = "email_users" } = how;
  const database = await template.copy();
  const holder = await holdOpen(database.url, `lock table ${table} in share row exclusive mode`);
  const racing = race(SEEDERS, ["seed", ...args], {
    ...withUrl(database.url, CONNECT_TIMEOUT),
    binary,
  });
  await until(database.url, crowd, CROWD_MS).finally(() => holder.release());
  const { runs } = await racing;
  return afterwards(database.url, runs);
}

/** Runs `work` with a mutant that is removed then. */
async function withMutant<T>(
  mutations: readonly Mutation[],
  work: (binary: string) => Promise<T>,
): Promise<T> {
  const { binary, remove } = await buildMutant(...mutations);
  try {
    return await work(binary);
  } finally {
    remove();
  }
}

const EVERY_ROLE_AND_GRANT = namesOf(EXPECTED, 1);

function duplicates(counts: SeedCounts): readonly string[] {
  return namesOf(counts, 2);
}

/** Roles and grants that are there at least so often. */
function namesOf({ roles, grants }: SeedCounts, atLeast: number): readonly string[] {
  return [
    ...Object.entries(roles),
    ...Object.entries(grants).map(([what, n]) => [`grant of ${what}`, n] as const),
  ]
    .filter(([, count]) => count >= atLeast)
    .map(([what]) => what)
    .sort();
}

describe("without the gate and without the indexes", () => {
  const args = ["--without-constraints"];

  test("six seeders, up to fifty times: roles and grants are there twice", async () => {
    const found = await withMutant(NO_GATE, async (binary) => {
      for (let round = 1; round <= ROUNDS; round += 1) {
        const { counts } = await raceOnce(withoutRbacIndexes, { binary, args });
        if (duplicates(counts).length > 0) return counts;
      }
      return EXPECTED;
    });
    expect(found).not.toEqual(EXPECTED);
    expect(duplicates(found)).toEqual(EVERY_ROLE_AND_GRANT);
  }, 300_000);

  test("whoever planned before the first one committed writes all of it again", async () => {
    const { counts, runs } = await withMutant(NO_GATE, (binary) =>
      raceInACrowd(withoutRbacIndexes, { crowd: SEVERAL_INSIDE, binary, args }),
    );
    expect(duplicates(counts)).toEqual(EVERY_ROLE_AND_GRANT);
    expect(having("seed.written", runs)).toBeGreaterThan(1);
  }, 120_000);

  test("and without a ledger, where the gate is the advisory lock alone, the same", async () => {
    const { counts } = await withMutant([NO_ADVISORY_LOCK], (binary) =>
      raceInACrowd(withoutRbacIndexes, {
        crowd: SEVERAL_INSIDE,
        binary,
        args: [...args, "--no-ledger"],
      }),
    );
    expect(duplicates(counts)).toEqual(EVERY_ROLE_AND_GRANT);
  }, 120_000);
});

describe("with the gate, where nothing is unique", () => {
  const args = ["--without-constraints"];

  test.each(["direct", "through a pool of 2"])(
    "24 seeders, %s: each row is there once",
    async (way) => {
      const isPooled = way !== "direct";
      const seeding = await raceOnce(withoutUniques, { count: 24, args, isPooled });
      expect(seeding.failed).toEqual([]);
      expect(seeding.counts).toEqual(EXPECTED);
    },
    120_000,
  );

  test("one is inside, the others are refused: one plans and writes", async () => {
    const { counts, failed, runs } = await raceInACrowd(withoutUniques, {
      crowd: ONE_INSIDE_ONE_REFUSED,
      binary: BINARY,
      args,
    });
    expect(failed).toEqual([]);
    expect(counts).toEqual(EXPECTED);
    expect(having("gate.waiting", runs)).toBeGreaterThan(0);
    expect(having("seed.written", runs)).toBe(1);
  }, 120_000);

  test("and without a ledger, by the advisory lock alone, the same", async () => {
    const { counts, failed, runs } = await raceInACrowd(withoutUniques, {
      crowd: ONE_INSIDE_ONE_REFUSED,
      binary: BINARY,
      args: [...args, "--no-ledger"],
    });
    expect(failed).toEqual([]);
    expect(counts).toEqual({ ...EXPECTED, records: 0 });
    expect(having("gate.waiting", runs)).toBeGreaterThan(0);
    expect(having("seed.written", runs)).toBe(1);
  }, 120_000);
});

describe("with the indexes, without the gate", () => {
  const crowds = {
    "not seeded": { template: () => indexed, table: "email_users" },
    "seeded as far as the account": { template: () => upToAccount, table: "roles" },
    "seeded as far as the grants": { template: () => upToGrants, table: "roles" },
  } as const;
  const states = Object.keys(crowds) as readonly (keyof typeof crowds)[];

  test.each(states)(
    "several plan the same rows of a database that is %s: one writes them, the others take them",
    async (state) => {
      const { template, table } = crowds[state];
      const { counts, failed, runs } = await withMutant(NO_GATE, (binary) =>
        raceInACrowd(template(), { crowd: SEVERAL_INSIDE, binary, table }),
      );
      expect(failed).toEqual([]);
      expect(counts).toEqual(EXPECTED);
      expect(having("gate.acquired", runs)).toBeGreaterThan(1);
    },
    120_000,
  );

  test("24 seeders: each row is there once", async () => {
    const seeding = await withMutant(NO_GATE, (binary) => raceOnce(indexed, { count: 24, binary }));
    expect(seeding.failed).toEqual([]);
    expect(seeding.counts).toEqual(EXPECTED);
  }, 120_000);

  const crippled: readonly [string, readonly Mutation[], string][] = [
    ["who does not take the row of whoever was first", [NO_FETCH], "23505"],
    ["whose lost race takes the transaction with it", NO_SAVEPOINT, "25P02"],
  ];
  test.each(crippled)(
    "a seeder %s fails",
    async (_, mutations, sqlState) => {
      const { counts, failed } = await withMutant([...NO_GATE, PATIENCE, ...mutations], (binary) =>
        raceInACrowd(indexed, { crowd: SEVERAL_INSIDE, binary }),
      );
      expect(failed.length).toBeGreaterThan(0);
      expect(failed.filter((each) => !each.includes(sqlState))).toEqual([]);
      expect(counts).toEqual(EXPECTED);
    },
    120_000,
  );
});

test("the mutant machinery itself builds a binary whose seeders race well", async () => {
  const { counts, failed, runs } = await withMutant([], (binary) => raceOnce(indexed, { binary }));
  expect(failed).toEqual([]);
  expect(counts).toEqual(EXPECTED);
  expect(having("seed.written", runs)).toBe(1);
}, 120_000);
