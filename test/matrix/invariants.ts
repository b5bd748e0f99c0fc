/**
 * Judges the evidence of a case. Pure.
 *
 * I1 at most one process is inside the critical section of a ledger. I2 a migration's effect and its
 * row appear together or not at all. I3 no lock outlives its process by more than the failure
 * table's bound and a second. I4 every waiter ends, with success or a named reason. I5 a probe
 * neither writes nor waits for us. I6 exit statuses agree with the state.
 */
import { IDLE_LIMIT_MS } from "../support/fault-build.ts";
import { type Case, FAULTS, isHeldElsewhere, MOMENTS } from "./cases.ts";
import type { Answer, End, Evidence, Violation } from "./evidence.ts";

const GRACE_MS = 1000;
/** A server looks for a client that is gone every two seconds while a statement runs. */
const CHECK_MS = 2000;
const AT_ONCE_MS = 10;

/** Everything that did not hold. */
export function judge(evidence: Evidence): readonly Violation[] {
  const { seen, tails, ends, answers, left, settled, each } = evidence;
  const late = tails.filter(({ ms, boundMs }) => ms > boundMs + GRACE_MS + seen.lateMs);
  return [
    ...seen.overlaps.map((text): Violation => ({ invariant: "I1", text })),
    ...seen.torn.map((text): Violation => ({ invariant: "I2", text })),
    ...late.map(
      ({ ms, boundMs }): Violation => ({
        invariant: "I3",
        text: `a lock was there for ${Math.round(ms)} ms, where ${boundMs} ms is the bound`,
      }),
    ),
    ...ends.flatMap((end) => judgeEnd(end, each)),
    ...seen.disturbed.map((text): Violation => ({ invariant: "I5", text })),
    ...answers.flatMap(judgeAnswer),
    ...left,
    ...(settled && !needsPerson(each)
      ? [{ invariant: "I6" as const, text: `a person was asked: ${settled.said}` }]
      : []),
  ];
}

/** How long a lock may outlive its process; undefined: it dies with the server, or nobody died. */
export function boundMsOf({ fault, moment }: Case): number | undefined {
  const { family, isBusy } = MOMENTS[moment];
  switch (fault) {
    case "SIGKILL":
    case "SIGTERM":
    case "line reset":
    case "pooler KILL":
    case "pooler restarted":
      return family === "inside" && isBusy ? CHECK_MS : AT_ONCE_MS;
    case "backend terminated":
      return AT_ONCE_MS;
    case "long freeze":
    case "line silent":
      return IDLE_LIMIT_MS;
    default:
      return undefined;
  }
}

/** A person may have to decide. */
export function needsPerson({ moment }: Case): boolean {
  return MOMENTS[moment].needsPerson === true;
}

function judgeEnd(end: End, each: Case): readonly Violation[] {
  const { who, status, reason } = end;
  if (status === undefined) return [{ invariant: "I4", text: `the ${who} did not end: ${reason}` }];
  if (!allowed(end, each).includes(status)) {
    const text = `the ${who} ended with ${status}: ${reason ?? "no reason"}`;
    return [{ invariant: "I6", text }];
  }
  if (status > 0 && reason === undefined) {
    return [{ invariant: "I4", text: `the ${who} ended with ${status} and named no reason` }];
  }
  return [];
}

/** Exit statuses that the state table allows after this fault. */
function allowed({ who }: End, each: Case): readonly number[] {
  if (who === "converger" || who === "status") return [0];
  const { fault } = each;
  const person = needsPerson(each) ? [4] : [];
  const outage = FAULTS[fault].target === "process" ? [] : outageOf(each);
  if (who === "waiter") return [0, ...person, ...outage];
  if (fault === "SIGKILL") return [-1];
  if (fault === "SIGTERM") return isHeldElsewhere(each) ? [143] : [0, 143];
  if (fault === "line silent") return [0, 6, ...person];
  return [0, ...person, ...outage];
}

/** A server or a pooler that is away for longer than a client tries is a named reason to end. */
function outageOf({ fault }: Case): readonly number[] {
  return fault.startsWith("server ") || fault.startsWith("pooler ") ? [7] : [];
}

function judgeAnswer({ status, reason, isAtHead }: Answer): readonly Violation[] {
  if (status !== 0 && status !== 1) {
    return [{ invariant: "I5", text: `a probe ended with ${status}: ${reason}` }];
  }
  if (/read-only transaction|permission denied/.test(reason)) {
    return [{ invariant: "I5", text: `a probe wanted more than to read: ${reason}` }];
  }
  if (status === 0 && !isAtHead) {
    return [{ invariant: "I6", text: `a probe said ready before head: ${reason}` }];
  }
  return [];
}
