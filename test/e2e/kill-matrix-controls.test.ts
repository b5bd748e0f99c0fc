/**
 * Negative controls of the kill matrix: the same cases and the same judge, with one mechanism
 * broken. If one of these is not red, the matrix cannot see that damage either.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Case, FaultName, MomentName, Route } from "../matrix/cases.ts";
import type { Invariant } from "../matrix/evidence.ts";
import { type Verdict, verdictOf } from "../matrix/run-matrix.ts";
import { openSite, type Site } from "../matrix/site.ts";
import { buildFaulty } from "../support/fault-build.ts";
import type { Mutation } from "../support/mutant.ts";
import { openSubstrate, type Substrate } from "../support/substrate.ts";

const NO_GATE: readonly Mutation[] = [
  {
    file: "db/gate.ts",
    find: "const own = `pg_try_advisory_xact_lock(",
    replace: "const own = `true or pg_try_advisory_xact_lock(",
  },
  { file: "db/gate.ts", find: "in share row exclusive mode`", replace: "in access share mode`" },
];
const ROW_OF_ITS_OWN: readonly Mutation[] = [
  {
    file: "flow/apply.ts",
    find: "const row = recordApplied(",
    replace:
      'await effect; await connection.run("commit"); await connection.run("begin");\n    const row = recordApplied(',
  },
  {
    file: "db/record.ts",
    find: "pg_current_xact_id()::text = coalesce($9::text, current_setting('headgate.xact', true))",
    replace: "$9::text is null or true",
  },
];
const SESSION_LOCK: readonly Mutation[] = [
  {
    file: "db/gate.ts",
    find: "const own = `pg_try_advisory_xact_lock(",
    replace: "const own = `pg_try_advisory_lock(",
  },
];
const ENDLESS_PATIENCE: readonly Mutation[] = [
  {
    file: "db/gate-settings.ts",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source as text
    find: "idle_in_transaction_session_timeout = ${integerLiteral(IDLE_LIMIT_MS)}",
    replace: "idle_in_transaction_session_timeout = 0",
  },
];

const CASES = {
  contended: of("short freeze", "statement runs", "direct", 2),
  halved: of("SIGKILL", "before row", "direct", 1),
  left: of("SIGKILL", "after commit", "pool-2", 1),
  frozen: of("long freeze", "after lock", "direct", 1),
} as const;

function of(fault: FaultName, moment: MomentName, route: Route, passage: 1 | 2): Case {
  return { fault, moment, route, passage, chance: 0.5 };
}

const table: readonly [
  invariant: Invariant,
  without: string,
  each: Case,
  broken: readonly Mutation[],
][] = [
  ["I1", "the gate and its fence", CASES.contended, NO_GATE],
  ["I2", "one transaction for effect and row", CASES.halved, ROW_OF_ITS_OWN],
  ["I3", "a lock that ends with its transaction", CASES.left, SESSION_LOCK],
  ["I3", "a bound on a frozen holder", CASES.frozen, ENDLESS_PATIENCE],
];

let substrate: Substrate;
let site: Site;

beforeAll(async () => {
  substrate = await openSubstrate("local");
  site = await openSite(substrate);
}, 120_000);
afterAll(() => substrate.close());

async function play(each: Case, broken: readonly Mutation[]): Promise<Verdict> {
  const { binary, remove } = await buildFaulty(...broken);
  const impatience = broken.length === 0 ? {} : { lockWait: "3s" };
  try {
    return await verdictOf(site, each, { victim: binary, others: binary, ...impatience });
  } finally {
    remove();
  }
}

test.concurrent.each(table)(
  "%s is red without %s",
  async (invariant, _without, each, broken) => {
    const { violations } = await play(each, broken);
    expect(violations.map((violation) => violation.invariant)).toContain(invariant);
  },
  180_000,
);

test.concurrent("with nothing broken, the same cases are green", async () => {
  const verdicts = await Promise.all(Object.values(CASES).map((each) => play(each, [])));
  expect(verdicts.flatMap(({ violations }) => violations)).toEqual([]);
}, 180_000);
