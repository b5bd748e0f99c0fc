/** A headgate that stops at the steps of its protocol when a variable says so, and is less patient. */
import { join } from "node:path";
import { buildMutant, type Mutation } from "./mutant.ts";

const MODULE: string = JSON.stringify(join(import.meta.dirname, "fault-point.ts"));

const at = (point: FaultPoint): string =>
  `await (await import(${MODULE})).faultPoint(${JSON.stringify(point)})`;

/** Where a test build can stop, in the order of the protocol. */
export type FaultPoint =
  | "before-lock"
  | "after-lock"
  | "after-ledger"
  | "before-row"
  | "before-commit"
  | "after-commit"
  | "before-exit"
  | "before-signal"
  | "after-signal"
  | "after-claim"
  | "after-statement"
  | "between-statements"
  | "before-finish"
  | "after-finish"
  | "seed-inside";

/** A stop before `find`, which is a statement. */
function before(point: FaultPoint, file: string, find: string): Mutation {
  return { file, find, replace: `${at(point)}; ${find}` };
}

const POINTS: readonly Mutation[] = [
  before("before-lock", "db/gate.ts", "if (!(await isGateFree(connection, gate))) return false;"),
  {
    file: "db/gate.ts",
    find: "as acquired`))) return true;",
    replace: `as acquired\`))) { ${at("after-lock")}; return true; }`,
  },
  before("after-ledger", "db/gate.ts", "return !tenancy.exists;"),
  {
    file: "flow/apply.ts",
    find: "await recordApplied(",
    replace: `await (${at("before-row")}, recordApplied)(`,
  },
  before("before-commit", "flow/step.ts", "await commit(connection).catch("),
  before("after-commit", "flow/step.ts", "task.committed(decision.plan);"),
  before("before-exit", "cli/run.ts", 'world.log("database.ready", {'),
  before("before-signal", "flow/build.ts", "const signal = await open({"),
  before("after-signal", "flow/build.ts", "const isStillNext = (ledger: Ledger): Promise<boolean>"),
  before("after-claim", "flow/build.ts", "signal.claimed(migration.version);"),
  before(
    "after-statement",
    "flow/build.ts",
    "const entry = { version: migration.version, runId: run.id, leaseMs",
  ),
  {
    file: "flow/build.ts",
    find: "if (!(await runOne(build, at,",
    replace: `if (at === 1) { ${at("between-statements")}; }
      if (!(await runOne(build, at,`,
  },
  before("before-finish", "flow/build.ts", "const durationMs = isOurs ?"),
  before("after-finish", "flow/build.ts", 'world.log("migration.applied", {'),
  before("seed-inside", "flow/rbac-task.ts", "await recordSeeds("),
];

/** How long the server bears an idle holder of the gate, in a test build. */
export const IDLE_LIMIT_MS = 4000;
/** How long a lease outlives its runner there. */
export const LEASE_MS = 8000;

/** Thirty seconds of patience are as good as four, and a matrix has no time for them. */
const IMPATIENCE: readonly Mutation[] = [
  constant("db/gate.ts", "IDLE_LIMIT_MS = 30_000", `IDLE_LIMIT_MS = ${IDLE_LIMIT_MS}`),
  constant("db/connection.ts", "QUESTION_DEADLINE_MS = 20_000", "QUESTION_DEADLINE_MS = 5000"),
  constant("flow/build-signal.ts", "BEAT_MS = 5000", "BEAT_MS = 700"),
  constant("flow/build-signal.ts", "BEAT_DEADLINE_MS = 5000", "BEAT_DEADLINE_MS = 4000"),
  constant("flow/build-signal.ts", "LEASE_MS = 60_000", `LEASE_MS = ${LEASE_MS}`),
  constant("flow/build-signal.ts", "RENEW_MS = 20_000", "RENEW_MS = 2000"),
];

function constant(file: string, find: string, replace: string): Mutation {
  return { file, find: `const ${find};`, replace: `const ${replace};` };
}

/** @param broken What is broken besides, before the stops are put in. */
export function buildFaulty(...broken: readonly Mutation[]): ReturnType<typeof buildMutant> {
  return buildMutant(...broken, ...POINTS, ...IMPATIENCE);
}
