/** What the quickstart found, as lines for a person. Pure. */
import type { Run } from "./headgate.ts";

export interface Migrated {
  readonly version: number;
  readonly name: string;
  readonly duration_ms: number;
}

export interface Replica {
  readonly pid: number;
  readonly run: Run;
  /** What its `up --json` says; missing when it said nothing. */
  readonly report: UpReport | undefined;
}

export interface UpReport {
  readonly path: "fast" | "slow";
  readonly applied: readonly Migrated[];
  readonly waited_ms: number;
  readonly seeds: { readonly changes: readonly unknown[] };
}

/** What the database says, asked past any pooler. */
export interface Traces {
  /** The ledger, ascending by version. */
  readonly rows: readonly (Migrated & { readonly pid: number })[];
  /** Active rows that seeding made. */
  readonly seeds: Readonly<Record<"admins" | "roles" | "teams" | "grants", number>>;
  readonly advisoryLocks: number;
  readonly openTransactions: number;
}

export interface Findings {
  readonly replicas: readonly Replica[];
  readonly traces: Traces;
  readonly probeBefore: Run;
  readonly probeAfter: Run;
}

export interface Finding {
  /** Undefined: a number worth knowing, which proves nothing. */
  readonly held: boolean | undefined;
  readonly what: string;
  readonly found: string;
}

const WHO_COLUMN = 14;

export function renderSeconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(durationMs < 1000 ? 2 : 1)} s`;
}

/** The ledger by process, then those that are not in it. */
export function renderWho({ replicas, traces }: Findings): readonly string[] {
  const nameWidth = Math.max(0, ...traces.rows.map(({ name }) => name.length));
  const lines = traces.rows.map(({ pid, version, name, duration_ms }, i) => {
    const who = pid === traces.rows[i - 1]?.pid ? "" : `pid ${pid}`;
    const what = `${String(version).padStart(4, "0")}  ${name.padEnd(nameWidth)}`;
    return `${who.padEnd(WHO_COLUMN)}${what}${`${duration_ms} ms`.padStart(9)}`;
  });
  const appliers = new Set(traces.rows.map(({ pid }) => pid));
  const others = replicas.filter(({ pid }) => !appliers.has(pid)).length;
  return [...lines, `${`${others} others`.padEnd(WHO_COLUMN)}nothing`];
}

export function findingsOf(findings: Findings): readonly Finding[] {
  return [
    allEnded(findings),
    exactlyOnce(findings),
    seededOnce(findings),
    nothingLeft(findings.traces),
    probes(findings),
    fastPath(findings),
    slowest(findings),
  ];
}

function allEnded({ replicas }: Findings): Finding {
  const good = replicas.filter(({ run }) => run.status === 0).length;
  return {
    held: good === replicas.length,
    what: "every replica started",
    found: `${good} of ${replicas.length} ended with exit status 0`,
  };
}

/** The processes' word and the ledger's must be the same, row for row. */
function exactlyOnce({ replicas, traces }: Findings): Finding {
  const said = replicas
    .flatMap(({ pid, report }) => (report?.applied ?? []).map(({ version }) => ({ pid, version })))
    .sort((a, b) => a.version - b.version);
  const written = traces.rows.map(({ pid, version }) => ({ pid, version }));
  return {
    held: said.length > 0 && JSON.stringify(said) === JSON.stringify(written),
    what: "exactly once",
    found: `${said.length} migrations applied, ${written.length} in the ledger, by the same processes`,
  };
}

/** One process made all of them, and nobody a second of anything. */
function seededOnce({ replicas, traces }: Findings): Finding {
  const { admins, roles, teams, grants } = traces.seeds;
  const seeders = replicas.filter(({ report }) => (report?.seeds.changes.length ?? 0) > 0).length;
  const isOnce = admins === 1 && roles === 5 && teams === 1 && grants === 2;
  return {
    held: isOnce && seeders === 1,
    what: "seeded once",
    found: `${admins} admin, ${roles} roles, ${teams} team, ${grants} grants, by ${seeders} process`,
  };
}

function nothingLeft({ advisoryLocks, openTransactions }: Traces): Finding {
  return {
    held: advisoryLocks === 0 && openTransactions === 0,
    what: "nothing left behind",
    found: `${advisoryLocks} advisory locks, ${openTransactions} open transactions`,
  };
}

function probes({ probeBefore, probeAfter }: Findings): Finding {
  const answer = probeAfter.stdout.trim() || probeAfter.stderr.trim();
  return {
    held: probeBefore.status === 1 && probeAfter.status === 0,
    what: "probe",
    found: `exit ${probeBefore.status} on the empty database, ${probeAfter.status} now: "${answer}"`,
  };
}

function fastPath({ replicas }: Findings): Finding {
  const fast = replicas.filter(({ report }) => report?.path === "fast");
  const waits = fast.map(({ report }) => report?.waited_ms ?? 0);
  const range = `${renderSeconds(Math.min(...waits))} to ${renderSeconds(Math.max(...waits))}`;
  const found = `${fast.length} of ${replicas.length} never held the gate`;
  return {
    held: undefined,
    what: "fast path",
    found: fast.length === 0 ? found : `${found}, after a wait of ${range}`,
  };
}

function slowest({ replicas }: Findings): Finding {
  const [last] = replicas.toSorted((a, b) => b.run.wallMs - a.run.wallMs);
  const waited = renderSeconds(last?.report?.waited_ms ?? 0);
  return {
    held: undefined,
    what: "slowest process",
    found: `${renderSeconds(last?.run.wallMs ?? 0)} from start to exit, ${waited} of it waiting`,
  };
}
