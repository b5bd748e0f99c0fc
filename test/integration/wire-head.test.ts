/**
 * The question of a probe, by the small client and by the general one, over every state that a ledger
 * can be in: the same rows and the same state. And never "at head" because of a damaged answer.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { buildBundle } from "../../src/core/bundle.ts";
import { type Head, headOf, isNonEmpty, isReady } from "../../src/core/head.ts";
import { readTipState } from "../../src/flow/state.ts";
import type { Connection } from "../../src/ports.ts";
import { type Change, damageOne, openAnswerRelay } from "../support/answer-relay.ts";
import { migrationFolder } from "../support/folder.ts";
import { headgate, withUrl } from "../support/headgate.ts";
import { urlOf } from "../support/postgres-admin.ts";
import { query } from "../support/query.ts";
import {
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";
import { createTlsFixture, type TlsFixture } from "../support/tls.ts";
import { askBoth, askOne, randomOf, type Wish } from "../support/two-clients.ts";

const FILES = {
  "10_a.sql": "create table a (id int);\n",
  "20_b.sql": "create table b (id int);\n",
  "30_c.sql": "create table c (id int);\n",
};
const LEDGER = { schema: undefined, table: "headgate_migrations" };
const SEED = 20_261_122;
const TRIES = 32;
/** Of a login, and of an answer. */
const BUDGET_MS = 600;
/** A login and three questions, ten times over: what is still waiting then, waits for ever. */
const HANG_MS = 10 * 4 * BUDGET_MS;

const ROW_40 = `insert into headgate_migrations (version, name, checksum, history, state, breaking)
select 40, 'x', checksum, history`;
const OF_20 = "from headgate_migrations where version = 20";
const UNFINISHED = "finished_at = null, run_id = 'c0ffee00-0000-4000-8000-000000000000'";
const FUTURE = "clock_timestamp() + interval '1 hour'";

/** What was done to a ledger that is at its head, and what a probe finds then. */
const STATES: readonly [state: string, when: string, alter: string][] = [
  ["at-head", "nothing was altered", "select"],
  ["fresh", "there is no ledger", "drop table headgate_migrations"],
  ["fresh", "the ledger is empty", "delete from headgate_migrations"],
  ["behind", "the last row is missing", "delete from headgate_migrations where version = 30"],
  ["ahead", "there is one more", `${ROW_40}, 'applied', false ${OF_20}`],
  ["ahead", "there is one more, and it is breaking", `${ROW_40}, 'applied', true ${OF_20}`],
  [
    "drifted",
    "the head's history is another",
    "update headgate_migrations set history = 'x' where version = 30",
  ],
  [
    "drifted",
    "the head is missing below another",
    `${ROW_40}, 'applied', false ${OF_20}; delete from headgate_migrations where version = 30`,
  ],
  [
    "interrupted",
    "the head has failed",
    `update headgate_migrations set state = 'failed', ${UNFINISHED} where version = 30`,
  ],
  [
    "interrupted",
    "the head's runner is gone",
    `update headgate_migrations set state = 'running', ${UNFINISHED} where version = 30`,
  ],
  ["interrupted", "one above has failed", `${ROW_40}, 'failed', false ${OF_20}`],
  [
    "running",
    "the head's lease holds",
    `update headgate_migrations set state = 'running', lease_until = ${FUTURE}, ${UNFINISHED} where version = 30`,
  ],
];

/** What nobody can read: an error, the same to both. */
const UNREADABLE: readonly [when: string, alter: string][] = [
  ["it has other columns", "alter table headgate_migrations drop column history"],
  [
    "a value is not one of ours",
    `alter table headgate_migrations drop constraint headgate_migrations_state_check;
update headgate_migrations set state = 'odd' where version = 30`,
  ],
  [
    "a version is not a safe integer",
    "update headgate_migrations set version = 9223372036854775807 where version = 30",
  ],
  [
    "a column is of another type",
    "alter table headgate_migrations alter column breaking drop default, alter column breaking type text",
  ],
];

let substrate: Substrate;
let fixture: TlsFixture;
let server: PostgresServer;
let pool: Pgbouncer;
let base: Database;

beforeAll(async () => {
  fixture = createTlsFixture();
  substrate = await openSubstrate("local");
  server = await substrate.postgres({ tls: fixture.server });
  pool = await substrate.pgbouncer(server, { poolSize: 2 });
  base = await server.createDatabase();
  const run = await headgate(["up", "--dir", migrationFolder(FILES)], withUrl(base.url));
  expect(run.status, run.stderr).toBe(0);
  // What is relative to now must not change between two questions.
  await query(base.url, "update headgate_migrations set finished_at = '2026-01-02 03:04:05+00'");
}, 120_000);

afterAll(async () => {
  await substrate?.close();
  fixture?.cleanup();
}, 60_000);

function head(): Head {
  const files = Object.entries(FILES).map(([file, text]) => ({ file, text }));
  const bundle = buildBundle(files, "the test");
  if (isNonEmpty(bundle)) return headOf(bundle);
  throw new Error("a bundle needs a migration");
}

/** A copy of the ledger at its head, with this done to it. */
async function altered(text: string): Promise<string> {
  const name = `${base.name}_${Math.random().toString(36).slice(2)}`;
  const admin = urlOf(server, server, "postgres");
  await query(admin, `create database ${name} template ${base.name}`);
  await query(urlOf(server, server, name), text);
  return name;
}

/** An answer that is not to be understood is an answer too, by name. */
async function stateOf(connection: Connection): Promise<unknown> {
  try {
    return await readTipState(connection, LEDGER, head());
  } catch (error) {
    if (error instanceof Error && error.name === "ShapeError") return { unreadable: error.message };
    throw error;
  }
}

function routesTo(database: string): readonly Wish[] {
  const wish = { server, database, user: server.user, password: server.password };
  return [wish, { ...wish, sslMode: "require" }, { ...wish, server: pool }];
}

describe("both clients find", () => {
  test.each(STATES)("%s when %s", async (state, _when, alter) => {
    for (const wish of routesTo(await altered(alter))) {
      expect(await askBoth(wish, stateOf)).toMatchObject({ state: { kind: state } });
    }
  });

  test.each(UNREADABLE)("nothing to go by when %s", async (_when, alter) => {
    for (const wish of routesTo(await altered(alter))) {
      expect(await askBoth(wish, stateOf)).not.toHaveProperty("state.kind");
    }
  });

  test("nothing to go by without the right to read", async () => {
    const role = await server.createRole();
    const [wish] = routesTo(await altered("select"));
    if (wish)
      expect(await askBoth({ ...wish, ...role }, stateOf)).toMatchObject({ state: "42501" });
  });
});

describe("a damaged answer", () => {
  /** What the small client concludes through a line that does this to what the server says. */
  async function readiness(database: string, change: Change): Promise<boolean | "hangs"> {
    const relay = await openAnswerRelay(server, change);
    const late = Promise.withResolvers<"hangs">();
    const timer = setTimeout(() => late.resolve("hangs"), HANG_MS);
    try {
      const { user, password } = server;
      const wish = { server: relay, database, user, password, connectTimeoutMs: BUDGET_MS };
      const answer = askOne("small", wish, isAtHead).then((outcome) => outcome === true);
      return await Promise.race([answer, late.promise]);
    } finally {
      clearTimeout(timer);
      await relay.close();
    }
  }

  /** As a probe asks, which has a second at most. Whatever goes wrong is a no. */
  async function isAtHead(connection: Connection): Promise<boolean> {
    const impatient: Connection = {
      ...connection,
      run: (text) => connection.run(text, BUDGET_MS),
      bind: (text, values) => connection.bind(text, values, BUDGET_MS),
    };
    const found = await readTipState(impatient, LEDGER, head()).catch(() => undefined);
    return found !== undefined && isReady(found.state, "exact");
  }

  /** All at once: most of their time is waiting for what will not come. */
  async function all(database: string): Promise<ReadonlySet<boolean | "hangs">> {
    const next = randomOf(SEED);
    const changes = Array.from({ length: TRIES }, () => damageOne(randomOf(next() * 2 ** 32)));
    return new Set(await Promise.all(changes.map((change) => readiness(database, change))));
  }

  const whens = ["the last row is missing", "the head's history is another", "the head has failed"];
  const notReady = STATES.filter(([, when]) => whens.includes(when));
  test.each(notReady)("of a ledger that is %s, since %s, never says at head", async (...row) => {
    const [, , alter] = row;
    expect(await all(await altered(alter))).toEqual(new Set([false]));
  });

  test("of a ledger that is at head says so or not, and nothing hangs", async () => {
    const database = await altered("select");
    expect(await all(database)).not.toContain("hangs");
    // Undamaged it is a yes: else a no would say nothing.
    expect(await readiness(database, (client, bytes) => void client.write(bytes))).toBe(true);
  });

  test("ends the compiled probe with 1, and with 0 only when the ledger is at head", async () => {
    const dir = migrationFolder(FILES);
    const statuses = async (database: string): Promise<ReadonlySet<number>> => {
      const next = randomOf(SEED);
      const runs = Array.from({ length: 12 }, async () => {
        const relay = await openAnswerRelay(server, damageOne(randomOf(next() * 2 ** 32)));
        const options = withUrl(`${urlOf(relay, server, database)}?sslmode=disable`);
        const run = await headgate(["probe", "--dir", dir, "--timeout", "2s"], options);
        await relay.close();
        return run.status;
      });
      return new Set(await Promise.all(runs));
    };
    const behind = "delete from headgate_migrations where version = 30";
    expect(await statuses(await altered(behind))).toEqual(new Set([1]));
    const atHead = await statuses(await altered("select"));
    expect([...atHead].filter((status) => status !== 0 && status !== 1)).toEqual([]);
  });
});
