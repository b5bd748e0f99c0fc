/** Locks for people and as plain data. */
import { renderKey } from "../core/advisory-key.ts";
import { renderDuration } from "../core/duration.ts";
import { quoteLedger } from "../core/identifier.ts";
import { describeLevel, describeLock, isOfGate, type Lock, ORPHAN_WORDS } from "../core/locks.ts";
import type { LocksReport } from "../flow/locks.ts";

/** The gate's locks first, then what else is locked by keys in this database. */
export function renderLocks({ place, database, locks }: LocksReport): string {
  const ours = locks.filter(isOfGate);
  const others = locks.filter((lock) => !isOfGate(lock));
  const gate = `Gate of ledger ${quoteLedger(place)} in database ${database}`;
  const parts = [
    ours.length === 0
      ? `${gate}: nobody holds or waits for it\n`
      : `${gate}\n${ours.map(render).join("")}`,
    others.length === 0
      ? ""
      : `\nOther advisory locks of this database\n${others.map(render).join("")}`,
    locks.some(isReleasable)
      ? '\nOnce you know that nobody needs it: "headgate locks release PID"\n'
      : "",
  ];
  return parts.join("");
}

function isReleasable(lock: Lock): boolean {
  return lock.isGranted && describeLevel(lock) === ORPHAN_WORDS;
}

function render(lock: Lock): string {
  const verb = lock.isGranted ? "holds" : "waits for";
  const who =
    lock.pid === null ? `prepared transaction ${lock.gid ?? "(unknown)"}` : `pid ${lock.pid}`;
  const mode = lock.mode === "ExclusiveLock" ? "" : `, ${lock.mode}`;
  const lines = [
    `${who} ${verb} ${describeLock(lock)}${mode}`,
    `  ${describeLevel(lock)}`,
    ...(lock.pid === null ? [] : [`  ${describeSession(lock)}`]),
    ...(lock.run === null ? [] : [`  headgate run ${lock.run}`]),
    ...(lock.statement === null ? [] : [`  last statement: ${lock.statement}`]),
  ];
  return lines.map((line) => `  ${line}\n`).join("");
}

function describeSession(lock: Lock): string {
  return [
    `client ${lock.address ?? "hidden"}`,
    `role ${lock.user ?? "hidden"}`,
    `application ${lock.application ?? "none"}`,
    `state ${lock.state ?? "hidden"}${age(" for ", lock.stateAgeMs)}`,
    ...(lock.xactAgeMs === null ? [] : [`transaction open${age(" for ", lock.xactAgeMs)}`]),
  ].join(", ");
}

function age(before: string, ageMs: number | null): string {
  return ageMs === null ? "" : `${before}${renderDuration(Math.max(ageMs, 0))}`;
}

/** After `locks release`. */
export function renderReleased(lock: Lock): string {
  return `Ended pid ${lock.pid}, which held ${describeLock(lock)}\n`;
}

/** With the names that `--json` promises; keys are texts, because they may have 64 bits. */
export function toLocks({
  place,
  database,
  locks,
}: LocksReport): Readonly<Record<string, unknown>> {
  return { ledger: quoteLedger(place), database, locks: locks.map(toLock) };
}

/** One lock. */
export function toLock(lock: Lock): Readonly<Record<string, unknown>> {
  return {
    kind: lock.kind,
    key: lock.key === undefined ? null : renderKey(lock.key),
    tool: lock.tool ?? null,
    mode: lock.mode,
    granted: lock.isGranted,
    pid: lock.pid,
    prepared: lock.gid,
    session_level_and_idle: lock.isSessionIdle && lock.isGranted,
    level: describeLevel(lock),
    address: lock.address,
    application: lock.application,
    role: lock.user,
    state: lock.state,
    state_age_ms: lock.stateAgeMs,
    transaction_age_ms: lock.xactAgeMs,
    run: lock.run,
    statement: lock.statement,
    blocked_by: lock.blockedBy,
  };
}
