/** Judges a drill by what is left of it. `test/unit/drill-verdict.test.ts` is the table. */

/** How a runner ended. `reason` is its own last word, where it had one. */
export type RunnerEnd =
  | { readonly kind: "killed" }
  | { readonly kind: "hung" }
  | { readonly kind: "ended"; readonly status: number; readonly reason: string | undefined };

/** One migration that was committed, by the server's clock in milliseconds. */
export interface AuditRow {
  readonly version: number;
  readonly beganMs: number;
  readonly endedMs: number;
}

/** A session that still holds a lock of the drill, or works on a statement of it. */
export interface LeftBehind {
  /** Null: a prepared transaction. */
  readonly pid: number | null;
  readonly what: "gate" | "ledger" | "statement";
  readonly state: string | null;
}

/** What was seen when every runner had ended. */
export interface DrillSight {
  readonly versions: readonly number[];
  readonly runners: readonly RunnerEnd[];
  readonly audit: readonly AuditRow[];
  /** Versions that the ledger calls applied. */
  readonly recorded: readonly number[];
  /** The state of the ledger: `at-head` when all is well. */
  readonly state: string;
  readonly left: readonly LeftBehind[];
  /** How long was waited for those who are left, in milliseconds. */
  readonly leftAfterMs: number;
}

/** One thing that went wrong, and what it means where the drill ran. */
export interface Fault {
  /** Part of the interface. */
  readonly kind:
    | "double-run"
    | "overlap"
    | "torn"
    | "not-at-head"
    | "runner-failed"
    | "runner-hung"
    | "left-behind"
    | "lock-left"
    | "scratch-left";
  readonly what: string;
  readonly why: string;
}

const NO_GATE =
  "On this route the gate does not keep a second runner out: start one runner only, and report this";

/** No fault: the protocol holds on this route. Worst first. */
export function judgeDrill(sight: DrillSight): readonly Fault[] {
  return [
    ...doubleRuns(sight),
    ...overlaps(sight.audit),
    ...torn(sight),
    ...unfinished(sight),
    ...failedRunners(sight.runners),
    ...hungRunners(sight.runners),
    ...leftBehind(sight),
  ];
}

function doubleRuns({ audit, versions }: DrillSight): readonly Fault[] {
  return versions.flatMap((version): readonly Fault[] => {
    const times = audit.filter((row) => row.version === version).length;
    if (times < 2) return [];
    const what = `migration ${version} was committed ${times} times`;
    return [{ kind: "double-run", what, why: NO_GATE }];
  });
}

/** Two different migrations at work at the same moment; the same one twice is a double run. */
function overlaps(audit: readonly AuditRow[]): readonly Fault[] {
  const byStart = [...audit].sort((a, b) => a.beganMs - b.beganMs);
  const first = byStart.findIndex((row, at) => {
    const next = byStart[at + 1];
    return next !== undefined && next.version !== row.version && next.beganMs < row.endedMs;
  });
  if (first === -1) return [];
  const what = `migrations ${byStart[first]?.version} and ${byStart[first + 1]?.version} were at work at the same moment`;
  return [{ kind: "overlap", what, why: NO_GATE }];
}

/** A row without its effect, or an effect without its row. */
function torn({ audit, recorded, versions }: DrillSight): readonly Fault[] {
  const done = new Set(audit.map(({ version }) => version));
  const known = new Set(recorded);
  return versions.flatMap((version): readonly Fault[] => {
    if (done.has(version) === known.has(version)) return [];
    const what = known.has(version)
      ? `migration ${version} is in the ledger, and its effect is not there`
      : `migration ${version} took effect, and the ledger does not know it`;
    const why =
      "On this route a migration and its row do not stand and fall together: do not migrate here, and report this";
    return [{ kind: "torn", what, why }];
  });
}

function unfinished({ state }: DrillSight): readonly Fault[] {
  if (state === "at-head") return [];
  const why = "A start like this one would leave a schema that no pod may use until up runs again";
  return [{ kind: "not-at-head", what: `the ledger is ${state} after the race`, why }];
}

function failedRunners(runners: readonly RunnerEnd[]): readonly Fault[] {
  const survivors = runners.filter(({ kind }) => kind !== "killed");
  const failed = survivors.filter((end) => end.kind === "ended" && end.status !== 0);
  const [first] = failed;
  if (first?.kind !== "ended") return [];
  const reason = first.reason ?? "without a word";
  const what = `${failed.length} of ${survivors.length} runners that nobody killed failed, the first with ${first.status}: ${reason}`;
  const why = "Pods that start at such a moment would fail and be restarted";
  return [{ kind: "runner-failed", what, why }];
}

function hungRunners(runners: readonly RunnerEnd[]): readonly Fault[] {
  const hung = runners.filter(({ kind }) => kind === "hung").length;
  if (hung === 0) return [];
  const why =
    "On this route a runner can wait without an end: look at the pooler's own waiting times";
  return [{ kind: "runner-hung", what: `${hung} runners showed no life and were ended`, why }];
}

function leftBehind({ left, leftAfterMs }: DrillSight): readonly Fault[] {
  if (left.length === 0) return [];
  const sessions = left.map(
    ({ pid, what, state }) =>
      `${pid === null ? "a prepared transaction" : `pid ${pid}`} (${what}, ${state ?? "state hidden"})`,
  );
  return [
    {
      kind: "left-behind",
      what: `${leftAfterMs} ms after the last runner had ended, its work goes on: ${sessions.join(", ")}`,
      why: "On this route the server is not told that a client is gone, so a killed runner blocks the next one",
    },
  ];
}
