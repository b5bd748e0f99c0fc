/** A headgate that stops at the steps of its protocol when a variable says so, and is less patient. */
import { join } from "node:path";
import { buildMutant, type Mutation } from "./mutant.ts";

const MODULE: string = JSON.stringify(join(import.meta.dirname, "fault-point.ts"));

const IMPORTS = `import { faultPoint, stopsAt } from ${MODULE};\n`;

/** No wait where it does not stop: what is sent in one go stays so. */
const stopsAt = (...points: readonly FaultPoint[]): string =>
  `stopsAt(...${JSON.stringify(points)})`;
const at = (point: FaultPoint): string =>
  `if (${stopsAt(point)}) await faultPoint(${JSON.stringify(point)})`;

/** A run that is to stop at one of these waits for what it sent before; any other sends the rest along. */
const waiting = (sent: string, ...points: readonly FaultPoint[]): string =>
  `if (${stopsAt(...points)}) await ${sent}?.catch(() => undefined);`;

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

/** Where a run stops between what is sent in one go: it has one migration at a time under way. */
const ONE_BY_ONE: string = stopsAt(
  "before-lock",
  "after-lock",
  "after-ledger",
  "before-row",
  "before-commit",
  "after-commit",
);

/** A stop before `find`, which is a statement. */
function before(point: FaultPoint, file: string, find: string): Mutation {
  return { file, find, replace: `${at(point)}; ${find}` };
}

const POINTS: readonly Mutation[] = [
  before("before-lock", "db/gate.ts", "if (!(await isGateFree(connection, gate))) return false;"),
  before(
    "before-lock",
    "flow/entry.ts",
    "const [, ledger, frame] = await together([\n      enterAgain(",
  ),
  {
    file: "db/gate.ts",
    find: "    followSearchPath(connection, gate),\n  ]);\n}",
    replace: `    followSearchPath(connection, gate),\n  ]);\n  ${at("after-lock")};\n}`,
  },
  {
    file: "db/gate.ts",
    find: "as acquired`))) return true;",
    replace: `as acquired\`))) { ${at("after-lock")}; return true; }`,
  },
  {
    file: "flow/step.ts",
    find: "const decision = await task.decide(",
    replace: `if (!gate.isLedgerless) { ${at("after-ledger")}; }
  const decision = await task.decide(`,
  },
  before("before-lock", "db/next-transaction.ts", "const begun = connection.run("),
  {
    file: "db/next-transaction.ts",
    find: "  return String(rows[0]",
    replace: `  ${at("after-lock")}; ${at("after-ledger")};\n  return String(rows[0]`,
  },
  {
    file: "flow/apply.ts",
    find: "const effect = sendBody(",
    replace: `${waiting("begun", "before-lock", "after-lock", "after-ledger")} const effect = sendBody(`,
  },
  {
    file: "flow/apply.ts",
    find: "const row = recordApplied(",
    replace: `${waiting("effect", "before-row", "before-commit")} ${at("before-row")};
    const row = recordApplied(`,
  },
  {
    file: "flow/apply.ts",
    find: "const end = work.commit?.()",
    replace: `${waiting("row", "before-row", "before-commit")} const end = work.commit?.()`,
  },
  {
    file: "flow/step.ts",
    find: "commit: () => {",
    replace: `commit: async () => { ${at("before-commit")};`,
  },
  constant("flow/apply-all.ts", "IN_FLIGHT_MAX = 20", `IN_FLIGHT_MAX = ${ONE_BY_ONE} ? 1 : 20`),
  constant("flow/apply-all.ts", "IN_FLIGHT_MIN = 5", `IN_FLIGHT_MIN = ${ONE_BY_ONE} ? 0 : 5`),
  before("after-commit", "flow/apply-all.ts", "if (!work.isAtomic)"),
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
  constant("db/gate-settings.ts", "IDLE_LIMIT_MS = 30_000", `IDLE_LIMIT_MS = ${IDLE_LIMIT_MS}`),
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
  const points = POINTS.map((point) => ({ ...point, imports: IMPORTS }));
  return buildMutant(...broken, ...points, ...IMPATIENCE);
}
