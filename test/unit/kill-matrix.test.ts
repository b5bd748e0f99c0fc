/** The kill matrix without servers: which cases there are, and what its judge sees. */
import { describe, expect, test } from "bun:test";
import { allCases, type Case, FAULTS, MOMENTS, nameOf, sampleOf } from "../matrix/cases.ts";
import type { Evidence, Invariant } from "../matrix/evidence.ts";
import { judge } from "../matrix/invariants.ts";
import { tornIn } from "../matrix/watch.ts";

describe("allCases()", () => {
  const cases = allCases(1);

  test("has every fault at every moment, on two routes at least where there is a pooler", () => {
    expect(cases.length).toBeGreaterThanOrEqual(200);
    const pairs = new Set(cases.map(({ fault, moment }) => `${fault} / ${moment}`));
    expect(pairs.size).toBe(Object.keys(FAULTS).length * Object.keys(MOMENTS).length);
  });

  test("is the same for the same seed, and in another order for another", () => {
    expect(allCases(1)).toEqual([...cases]);
    expect(allCases(2).map(nameOf)).not.toEqual(cases.map(nameOf));
    expect(allCases(2)).toHaveLength(cases.length);
  });

  test("has no pooler to harm on a direct route", () => {
    const direct = cases.filter(({ route }) => route === "direct");
    expect(direct.filter(({ fault }) => FAULTS[fault].target === "pooler")).toEqual([]);
  });

  test("sampleOf() has every fault and every moment, and as many as asked for", () => {
    const sample = sampleOf(cases, 30);
    expect(sample).toHaveLength(30);
    expect(new Set(sample.map(({ fault }) => fault)).size).toBe(Object.keys(FAULTS).length);
    expect(new Set(sample.map(({ moment }) => moment)).size).toBe(Object.keys(MOMENTS).length);
  });
});

const CASE: Case = {
  fault: "SIGKILL",
  moment: "before row",
  route: "direct",
  passage: 1,
  chance: 0.5,
};
const SEEN = { torn: [], overlaps: [], disturbed: [], lateMs: 100 };
const GOOD: Evidence = {
  each: CASE,
  ends: [
    { who: "victim", status: -1, reason: undefined },
    { who: "waiter", status: 0, reason: undefined },
    { who: "converger", status: 0, reason: undefined },
    { who: "status", status: 0, reason: undefined },
  ],
  answers: [{ status: 1, reason: "behind", isAtHead: false }],
  tails: [{ ms: 1109, boundMs: 10 }],
  settled: undefined,
  seen: SEEN,
  left: [],
  wallMs: 1,
};

describe("judge()", () => {
  test("is content with a case in which all held", () => {
    expect(judge(GOOD)).toEqual([]);
  });

  const end = (who: "victim" | "waiter" | "converger", status?: number, reason?: string) => ({
    ends: [{ who, status, reason }],
  });
  const bad: readonly [Invariant, string, Partial<Evidence>][] = [
    ["I1", "two were inside", { seen: { ...SEEN, overlaps: ["two bodies"] } }],
    ["I2", "effect and row were two", { seen: { ...SEEN, torn: ["version 1"] } }],
    ["I3", "a lock stayed too long", { tails: [{ ms: 1111, boundMs: 10 }] }],
    ["I4", "a waiter did not end", end("waiter")],
    ["I4", "a victim did not end", end("victim")],
    [
      "I4",
      "a waiter named no reason",
      { each: { ...CASE, moment: "unrepeatable runs" }, ...end("waiter", 4) },
    ],
    ["I5", "a probe held locks", { seen: { ...SEEN, disturbed: ["probe"] } }],
    ["I5", "a probe ended with 7", { answers: [{ status: 7, reason: "", isAtHead: false }] }],
    [
      "I5",
      "a probe tried to write",
      { answers: [{ status: 1, reason: "read-only transaction", isAtHead: false }] },
    ],
    ["I6", "a probe was ready too soon", { answers: [{ status: 0, reason: "", isAtHead: false }] }],
    ["I6", "a waiter failed", end("waiter", 4, "why")],
    ["I6", "the next up failed", end("converger", 6, "why")],
    ["I6", "a person was asked in vain", { settled: { said: "interrupted", how: "applied" } }],
    ["I6", "head is not there", { left: [{ invariant: "I6", text: "not at head" }] }],
  ];
  test.each(bad)("says %s when %s", (invariant, _when, change) => {
    expect(judge({ ...GOOD, ...change }).map((each) => each.invariant)).toEqual([invariant]);
  });

  const statuses: readonly [string, Partial<Case>, number, boolean][] = [
    [
      "SIGTERM in a statement that goes on",
      { fault: "SIGTERM", moment: "statement runs" },
      0,
      false,
    ],
    [
      "SIGTERM in a statement that goes on",
      { fault: "SIGTERM", moment: "statement runs" },
      143,
      true,
    ],
    ["a server that was away too long", { fault: "server crashed" }, 7, true],
    ["a frozen runner", { fault: "long freeze" }, 7, false],
    ["a silent line", { fault: "line silent" }, 6, true],
    ["a silent line", { fault: "line silent" }, 4, false],
  ];
  test.each(statuses)(
    "after %s (%p), a victim's %d is right: %p",
    (_how, change, status, isRight) => {
      const evidence = { ...GOOD, each: { ...CASE, ...change }, ...end("victim", status, "why") };
      expect(judge(evidence).length === 0).toBe(isRight);
    },
  );
});

describe("tornIn()", () => {
  const NONE = { effects: [], logged: [], applied: [], roles: 0, seeds: 0 };
  test.each([
    [NONE, 0],
    [{ ...NONE, effects: [1], logged: [1], applied: [1] }, 0],
    [{ ...NONE, effects: [1], logged: [1] }, 1],
    [{ ...NONE, applied: [1] }, 1],
    [{ ...NONE, effects: [1], logged: [1, 1], applied: [1] }, 1],
    [{ effects: [1, 2], logged: [1, 2], applied: [1], roles: 0, seeds: 0 }, 1],
  ])("%j has %d torn versions", (snapshot, torn) => {
    expect(tornIn(snapshot, "inside")).toHaveLength(torn);
  });

  test("sees seeds without their record, and a record without seeds", () => {
    expect(tornIn({ ...NONE, roles: 5, seeds: 1 }, "seed")).toEqual([]);
    expect(tornIn({ ...NONE, roles: 5 }, "seed")).toHaveLength(1);
    expect(tornIn({ ...NONE, seeds: 1 }, "seed")).toHaveLength(1);
  });
});
