/**
 * The seeders' race: N processes on a database that is at head and not, or half, seeded, direct and
 * through transaction pooling. All end with 0, one of them writes every row, no row is there twice,
 * and nothing is left behind. Negative controls are in `seed-race-controls.test.ts`.
 */
import { beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Run, type RunOptions, start, withUrl } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { appliers, race } from "../support/race.ts";
import { createScratchFolder } from "../support/scratch.ts";
import {
  dropDatabase,
  EXPECTED,
  HALVES,
  seedCounts,
  type Template,
  templateAtHead,
} from "../support/seeds.ts";
import type { Database } from "../support/substrate.ts";
import { useServers } from "../support/use-servers.ts";

const PASSWORD = "correct-horse-7-battery";
const ROUNDS = 50;
const MIGRATIONS = readdirSync(join(import.meta.dirname, "../../migrations")).filter((file) =>
  file.endsWith(".sql"),
).length;

const STATES = {
  "not seeded": "",
  "seeded as far as the account": HALVES.account,
  "seeded as far as the grants": HALVES.grants,
} as const;

type State = keyof typeof STATES;
type Way = "direct" | "through a pool of 2";

const servers = useServers({ poolSize: 2 });
const templates = new Map<State, Template>();

beforeAll(async () => {
  for (const [state, sql] of Object.entries(STATES)) {
    templates.set(state as State, await templateAtHead(servers.postgres, sql));
  }
}, 120_000);

/** A new database that is at head. */
function databaseThatIs(state: State): Promise<Database> {
  const template = templates.get(state);
  if (!template) throw new Error(`no template is ${state}`);
  return template.copy();
}

/** A hundred logins keep the machine busy for longer than one login is worth waiting for. */
function connected(
  way: Way,
  database: Database,
  env: Readonly<Record<string, string>> = {},
): RunOptions {
  const url = way === "direct" ? database.url : servers.pool.urlOf(database);
  return withUrl(url, { HEADGATE_CONNECT_TIMEOUT: "60s", ...env });
}

function failures(runs: readonly Run[]): readonly string[] {
  return runs
    .filter(({ status }) => status !== 0)
    .map(({ status, stderr }) => `exit ${status}: ${stderr}`);
}

/** How many processes say that they wrote rows, and which rows more than one says it wrote. */
function authorship(runs: readonly Run[]): {
  readonly writers: number;
  readonly twice: readonly string[];
} {
  const written = runs.map(({ events }) =>
    events
      .filter(({ event }) => event === "seed.written")
      .map((event) => `${event["kind"]} ${event["what"]}`),
  );
  const rows = written.flat();
  return {
    writers: written.filter((each) => each.length > 0).length,
    twice: rows.filter((row, i) => rows.indexOf(row) !== i),
  };
}

/** What holds after every race, whatever the seeders found. */
async function expectOneSeeding(runs: readonly Run[], database: Database): Promise<void> {
  expect(failures(runs)).toEqual([]);
  expect(await seedCounts(database.url)).toEqual(EXPECTED);
  expect(authorship(runs)).toEqual({ writers: 1, twice: [] });
}

async function passwordHash(database: Database): Promise<string> {
  const [admin] = await query(database.url, "select password_hash from email_users");
  return String(admin?.["password_hash"]);
}

const races: readonly [count: number, way: Way, state: State][] = [
  ...[6, 24, 100].flatMap((count): [number, Way, State][] => [
    [count, "direct", "not seeded"],
    [count, "direct", "seeded as far as the account"],
    [count, "through a pool of 2", "not seeded"],
    [count, "through a pool of 2", "seeded as far as the grants"],
  ]),
];

test.each(races)(
  "%d seeders, %s, of a database that is %s: one writes, each row is there once",
  async (count, way, state) => {
    const database = await databaseThatIs(state);
    const { runs } = await race(count, ["seed"], connected(way, database));
    await expectOneSeeding(runs, database);
    await dropDatabase(servers.postgres, database);
  },
  180_000,
);

test.each(["direct", "through a pool of 2"] as const)(
  "24 seeders with a password, %s: one creates the admin, who has that password",
  async (way) => {
    const database = await databaseThatIs("not seeded");
    const options = connected(way, database, { PLATFORM_ADMIN_PASSWORD: PASSWORD });
    const { runs } = await race(24, ["seed"], options);
    await expectOneSeeding(runs, database);
    expect(await Bun.password.verify(PASSWORD, await passwordHash(database))).toBe(true);
  },
  180_000,
);

test("six seeders, each with a file for the password that it makes: one keeps it, and it is the admin's", async () => {
  const database = await databaseThatIs("not seeded");
  const folder = createScratchFolder("passwords");
  const files = Array.from({ length: 6 }, (_, i) => join(folder, `password-${i}`));
  const options = connected("through a pool of 2", database);
  const runs = await Promise.all(
    files.map((file) => start(["seed", "--generated-password-file", file], options).done),
  );
  await expectOneSeeding(runs, database);
  const kept = files.filter((file) => existsSync(file));
  expect(kept).toHaveLength(1);
  const password = readFileSync(kept[0] ?? "", "utf8");
  expect(await Bun.password.verify(password, await passwordHash(database))).toBe(true);
}, 120_000);

test("six seeders that share a file for the password: what it holds is the admin's", async () => {
  const database = await databaseThatIs("not seeded");
  const file = join(createScratchFolder("passwords"), "password");
  const args = ["seed", "--generated-password-file", file];
  const { runs } = await race(6, args, connected("direct", database));
  await expectOneSeeding(runs, database);
  const password = readFileSync(file, "utf8");
  expect(await Bun.password.verify(password, await passwordHash(database))).toBe(true);
}, 120_000);

test("24 ups on an empty database through a pool of 2: each migration once, then each row once", async () => {
  const database = await servers.postgres.createDatabase();
  const options = connected("through a pool of 2", database, { PLATFORM_ADMIN_PASSWORD: PASSWORD });
  const { runs } = await race(24, ["up"], options);
  await expectOneSeeding(runs, database);
  expect([...appliers(runs).values()]).toEqual(Array.from({ length: MIGRATIONS }, () => 1));
}, 180_000);

test("24 ups that leave migrations to another runner seed a database at head: each row once", async () => {
  const database = await databaseThatIs("not seeded");
  const options = connected("through a pool of 2", database, {
    MCPGATEWAY_SKIP_MIGRATIONS: "true",
    HEADGATE_SEED: "rbac",
  });
  const { runs } = await race(24, ["up"], options);
  await expectOneSeeding(runs, database);
  const verified = runs.filter(({ events }) =>
    events.some(({ event }) => event === "migrations.verified"),
  );
  expect(verified).toHaveLength(24);
  expect(appliers(runs).size).toBe(0);
}, 180_000);

test("six seeders, fifty times", async () => {
  for (let round = 1; round <= ROUNDS; round += 1) {
    const database = await databaseThatIs("not seeded");
    const way = round % 2 === 0 ? "direct" : "through a pool of 2";
    const { runs } = await race(6, ["seed"], connected(way, database));
    await expectOneSeeding(runs, database);
    await dropDatabase(servers.postgres, database);
  }
}, 300_000);
