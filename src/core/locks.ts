/** Locks around the gate as plain data: whose they are, and whether a holder may be ended. */
import { type AdvisoryKey, renderKey, toolOf } from "./advisory-key.ts";
import { type GateKey, reclaimKey, runKey, stepKey } from "./gate-key.ts";
import type { LedgerPlace } from "./ledger.ts";

/** One row of pg_locks with its session. What the server hides of another role's session is null. */
export interface LockRow {
  /** Undefined: a lock on the ledger's table. */
  readonly key: AdvisoryKey | undefined;
  readonly mode: string;
  readonly isGranted: boolean;
  /** Null: a prepared transaction, which has no process. */
  readonly pid: number | null;
  /** The prepared transaction's name. */
  readonly gid: string | null;
  /** The session is in no transaction, so the lock is the session's own. */
  readonly isSessionIdle: boolean;
  /** The very server session that answered the question; a pooler may have lent it to us. */
  readonly isOurs: boolean;
  readonly address: string | null;
  readonly application: string | null;
  readonly user: string | null;
  readonly state: string | null;
  /** The run token of its last statement. */
  readonly run: string | null;
  /** Of the transaction that is open. */
  readonly xactAgeMs: number | null;
  readonly stateAgeMs: number | null;
  /** When the session began and last changed its state, as the server's text of the instant. */
  readonly backendStart: string | null;
  readonly stateChange: string | null;
  /** The beginning of its last statement. */
  readonly statement: string | null;
  /** Who is in its way; 0 is a prepared transaction. Empty when granted. */
  readonly blockedBy: readonly number[];
}

/**
 * `step` and `run` are the gate's own keys, `ledger` its table, `lock-id` the key of `--lock-id`,
 * `reclaim` the key of the runner that watches an idle holder.
 */
export type LockKind = "step" | "run" | "ledger" | "lock-id" | "reclaim" | "tool" | "unknown";

/** A lock and whose it is. */
export interface Lock extends LockRow {
  readonly kind: LockKind;
  /** Of kind `tool`: its name. */
  readonly tool: string | undefined;
}

/** Where locks are looked at. */
export interface LockScope {
  readonly place: LedgerPlace;
  readonly database: string;
  readonly lockId: bigint | undefined;
}

const ORDER: readonly LockKind[] = [
  "step",
  "run",
  "ledger",
  "lock-id",
  "reclaim",
  "tool",
  "unknown",
];

/** The gate's first, then other tools', then unknown ones; holders before waiters. */
export function classifyLocks(rows: readonly LockRow[], scope: LockScope): readonly Lock[] {
  const rank = (lock: Lock): number => ORDER.indexOf(lock.kind) * 2 + (lock.isGranted ? 0 : 1);
  return rows.map((row) => classify(row, scope)).sort((a, b) => rank(a) - rank(b));
}

function classify(row: LockRow, { place, database, lockId }: LockScope): Lock {
  const { key } = row;
  if (key === undefined) return { ...row, kind: "ledger", tool: undefined };
  const tool = toolOf(key, database);
  if (isGateKey(key, stepKey(place))) return { ...row, kind: "step", tool };
  if (isGateKey(key, runKey(place))) return { ...row, kind: "run", tool };
  if (isGateKey(key, reclaimKey(place))) return { ...row, kind: "reclaim", tool };
  if (key.kind === "bigint" && key.value === lockId) return { ...row, kind: "lock-id", tool };
  return { ...row, kind: tool === undefined ? "unknown" : "tool", tool };
}

function isGateKey(key: AdvisoryKey, { namespace, ledger }: GateKey): boolean {
  return key.kind === "pair" && key.first === namespace && key.second === ledger;
}

/** Whether the lock stands in the way of the gate. */
export function isOfGate({ kind }: Lock): boolean {
  return kind !== "tool" && kind !== "unknown";
}

/** The lock in words: `the gate`, `advisory lock 72707369 (Prisma Migrate)`. */
export function describeLock({ kind, key, tool }: Lock): string {
  if (kind === "step") return "the gate";
  if (kind === "run") return "the gate of a migration outside a transaction";
  if (kind === "reclaim") return "the right to watch and end an idle holder";
  if (key === undefined) return "a lock on the ledger";
  const owner = tool ?? (kind === "unknown" ? "unknown" : undefined);
  const name = owner === undefined ? "" : ` (${owner})`;
  return `advisory lock ${renderKey(key)}${kind === "lock-id" ? " of --lock-id" : ""}${name}`;
}

/** What SQL can prove about a session-level lock, and what it cannot. */
export const ORPHAN_WORDS: string =
  "session-level and idle: an orphan or an idle living holder, which SQL cannot tell apart";

/** What can be said of a holder's or waiter's life. */
export function describeLevel(lock: Lock): string {
  if (lock.pid === null) {
    return `a prepared transaction without a process: commit prepared or rollback prepared '${lock.gid ?? ""}' ends it`;
  }
  if (!lock.isGranted) {
    return lock.blockedBy.length === 0
      ? "waits"
      : `waits for ${lock.blockedBy.map(nameOfPid).join(", ")}`;
  }
  if (lock.isOurs) {
    return "session-level, on the server session that a pooler lent to this command: an orphan or a living client's, which SQL cannot tell apart";
  }
  return lock.isSessionIdle
    ? ORPHAN_WORDS
    : "in a transaction: its owner is alive or not yet noticed to be gone";
}

function nameOfPid(pid: number): string {
  return pid === 0 ? "a prepared transaction" : `pid ${pid}`;
}

/** The holder in one sentence. */
export function describeHolder(lock: Lock): string {
  const seconds = lock.stateAgeMs === null ? "hidden" : `${Math.round(lock.stateAgeMs / 1000)} s`;
  const who = [
    `client ${lock.address ?? "hidden"}`,
    `role ${lock.user ?? "hidden"}`,
    `application ${lock.application ?? "none"}`,
    `state ${lock.state ?? "hidden"} for ${seconds}`,
    `last statement ${lock.statement ?? "none"}`,
  ].join(", ");
  return `pid ${lock.pid} holds ${describeLock(lock)} (${who}); ${describeLevel(lock)}`;
}

/** The lock that `locks release PID` is about: the most important one that the pid holds. */
export function heldBy(locks: readonly Lock[], pid: number): Lock | undefined {
  return locks.find((lock) => lock.pid === pid && lock.isGranted);
}

/**
 * Why a holder counts as living; undefined: session-level and idle, and it did nothing since.
 *
 * @param first The first sample.
 * @param now A later sample of the same pid and lock; undefined: it holds the lock no more.
 */
export function whyLiving(first: Lock, now: Lock | undefined): string | undefined {
  if (now === undefined || describeLock(now) !== describeLock(first))
    return "it let go of the lock";
  if (now.backendStart !== first.backendStart) return "another session has its pid now";
  if (!now.isSessionIdle) return "it is in a transaction, so it works, or its lock ends with that";
  if (now.state === null) return "the server hides its state from this role";
  if (now.state !== "idle") return `its state is ${now.state}`;
  return now.stateChange === first.stateChange ? undefined : "it did something between two samples";
}
