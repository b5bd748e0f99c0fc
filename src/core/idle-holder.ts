/**
 * Since when a session-level holder of the gate's keys, or of `--lock-id`, has been idle. Pure.
 *
 * (1) headgate takes transaction-level locks only, so such a holder of its own keys is a foreigner.
 * (2) Through a pooler the holder's session also answers the questions of runners that wait for it.
 *     Their run token tells them apart: what a headgate did there is no sign of the holder's life.
 * (3) Such a question hides since when the session was idle before. So a runner then counts from
 *     the moment when it first saw the holder itself.
 */
import type { Lock, LockKind } from "./locks.ts";

/** A holder, and for how long it is known to have been idle. */
export interface Sighting {
  readonly holder: Lock;
  /** By the clock of who looks, in milliseconds. */
  readonly idleSinceMs: number;
}

const NEEDED: ReadonlySet<LockKind> = new Set(["step", "run", "lock-id"]);

/**
 * What one more look makes of the earlier ones: the very same sighting when the look shows only a
 * headgate's question on that session. Undefined: there is no such holder, or it works.
 *
 * @param locks All locks, the gate's first, as `classifyLocks` gives them.
 */
export function sightHolder(
  before: Sighting | undefined,
  locks: readonly Lock[],
  nowMs: number,
): Sighting | undefined {
  const needed = locks.filter(({ kind, isGranted }) => NEEDED.has(kind) && isGranted);
  const holder = needed.find(isIdle);
  if (holder === undefined) return isAsked(before, needed) ? before : undefined;
  const known = before && isSame(before.holder, holder) ? before : undefined;
  const isUnchanged = isTouched(holder) || known?.holder.stateChange === holder.stateChange;
  if (known && isUnchanged) return { holder, idleSinceMs: known.idleSinceMs };
  const ageMs = isTouched(holder) ? 0 : (holder.stateAgeMs ?? 0);
  return { holder, idleSinceMs: nowMs - ageMs };
}

/** Why the holder counts as living, after one more look. Undefined: it is as it was. */
export function whyAwake(before: Sighting, now: Sighting | undefined): string | undefined {
  if (now === undefined) return "it works, or it let go of the lock";
  if (!isSame(before.holder, now.holder)) return "another session holds the lock now";
  const isUndisturbed = now.idleSinceMs === before.idleSinceMs;
  return isUndisturbed ? undefined : "it did something between two samples";
}

/** A state that the server hides is judged by who would end the session. */
function isIdle({ pid, isOurs, isSessionIdle, state }: Lock): boolean {
  return pid !== null && (isOurs || (isSessionIdle && (state === "idle" || state === null)));
}

/** Its session answers a headgate's question at this moment. */
function isAsked(before: Sighting | undefined, locks: readonly Lock[]): boolean {
  return before !== undefined && locks.some((l) => isSame(l, before.holder) && isTouched(l));
}

/** The last thing on this session was a headgate's question. */
function isTouched({ isOurs, run }: Lock): boolean {
  return isOurs || run !== null;
}

function isSame(one: Lock, other: Lock): boolean {
  return (
    one.pid === other.pid && one.backendStart === other.backendStart && one.kind === other.kind
  );
}
