import { describe, expect, test } from "bun:test";
import { decideUp, notReadyError } from "../../src/core/decide.ts";
import type { HeadgateError } from "../../src/core/error.ts";
import type { HeadState, Policy } from "../../src/core/head.ts";
import { bundleOf, foreignRow, rowFor } from "./ledgers.ts";

type NotAtHead = Exclude<HeadState, { readonly kind: "at-head" }>;

const BUNDLE = bundleOf(1, 2, 3);
const FAILED = rowFor(BUNDLE[0], { state: "failed", error: "out of disk" });
const STATES = {
  fresh: { kind: "fresh", pending: BUNDLE },
  behind: { kind: "behind", pending: bundleOf(2, 3) },
  running: { kind: "running", row: rowFor(BUNDLE[0], { state: "running", alive: true }) },
  interrupted: { kind: "interrupted", row: FAILED },
  drifted: { kind: "drifted", drifts: [{ version: 2, why: "checksum" }] },
  ahead: { kind: "ahead", extra: [foreignRow(4)], breaking: false },
  breaking: { kind: "ahead", extra: [foreignRow(4, { breaking: true })], breaking: true },
} as const satisfies Readonly<Record<string, NotAtHead>>;

type Named = keyof typeof STATES | "atHead";

function stateOf(name: Named): HeadState {
  return name === "atHead" ? { kind: "at-head" } : STATES[name];
}

describe("decideUp()", () => {
  /** What follows: a decision, the versions to apply, or the code it refuses with. */
  function outcome(name: Named, policy: Policy, to: number | undefined): string {
    const decision = decideUp(stateOf(name), { policy, to });
    switch (decision.kind) {
      case "nothing":
        return "nothing";
      case "apply":
        return `apply ${decision.pending.map((migration) => migration.version).join(" ")}`;
      case "wait":
        return `wait for ${decision.row.version}`;
      case "refuse":
        return `refuse ${decision.error.code}`;
    }
  }

  // biome-ignore format: a table
  const table: readonly [state: Named, to: number | undefined, atLeast: string, exact: string][] = [
    ["drifted",     undefined, "refuse drifted",     "refuse drifted"],
    ["drifted",     1,         "refuse drifted",     "refuse drifted"],
    ["interrupted", undefined, "refuse interrupted", "refuse interrupted"],
    ["interrupted", 0,         "refuse interrupted", "refuse interrupted"],
    ["running",     undefined, "wait for 1",         "wait for 1"],
    ["running",     0,         "wait for 1",         "wait for 1"],
    ["ahead",       undefined, "nothing",            "refuse ahead"],
    ["ahead",       2,         "nothing",            "refuse ahead"],
    ["breaking",    undefined, "refuse ahead",       "refuse ahead"],
    ["fresh",       undefined, "apply 1 2 3",        "apply 1 2 3"],
    ["fresh",       3,         "apply 1 2 3",        "apply 1 2 3"],
    ["fresh",       99,        "apply 1 2 3",        "apply 1 2 3"],
    ["fresh",       2,         "apply 1 2",          "apply 1 2"],
    ["fresh",       0,         "nothing",            "nothing"],
    ["behind",      undefined, "apply 2 3",          "apply 2 3"],
    ["behind",      2,         "apply 2",            "apply 2"],
    ["behind",      1,         "nothing",            "nothing"],
    ["atHead",      undefined, "nothing",            "nothing"],
    ["atHead",      1,         "nothing",            "nothing"],
  ];
  test.each(table)("when %s, --to %p: %s; exact: %s", (state, to, atLeast, exact) => {
    expect(outcome(state, "at-least", to)).toBe(atLeast);
    expect(outcome(state, "exact", to)).toBe(exact);
  });
});

describe("decideUp() refuses", () => {
  function refusal(name: Named, policy: Policy = "at-least"): HeadgateError {
    const decision = decideUp(stateOf(name), { policy, to: undefined });
    if (decision.kind === "refuse") return decision.error;
    throw new Error(`${name} was not refused`);
  }

  const table: readonly [state: Named, policy: Policy, message: string][] = [
    ["drifted", "at-least", "Cannot trust the ledger: 2 was edited after it was applied"],
    [
      "interrupted",
      "at-least",
      "Cannot go on: migration 1 m1 is failed and nobody works on it (out of disk)",
    ],
    [
      "breaking",
      "at-least",
      "Cannot run against this schema: the database has versions that this bundle does not (4), and one of them is marked breaking",
    ],
    [
      "ahead",
      "exact",
      "Cannot run against this schema: the database has versions that this bundle does not (4), and --policy exact accepts no newer schema",
    ],
  ];
  test.each(table)("%s under %s in words, with a next step", (state, policy, message) => {
    expect(refusal(state, policy).message).toBe(message);
    expect(refusal(state, policy).hint).toBeString();
  });

  test("every drift of a ledger, each with its reason", () => {
    const drifts = (["checksum", "history", "missing", "unknown"] as const).map((why, i) => ({
      version: i + 1,
      why,
    }));
    const [first, ...others] = drifts;
    if (first === undefined) throw new Error("there are four");
    const decision = decideUp(
      { kind: "drifted", drifts: [first, ...others] },
      { policy: "at-least", to: undefined },
    );
    expect(decision.kind === "refuse" && decision.error.message).toBe(
      "Cannot trust the ledger: 1 was edited after it was applied; 2 has another history below it; 3 is missing below an applied one; 4 was applied but is not in this bundle",
    );
  });
});

describe("notReadyError()", () => {
  const table: readonly [
    state: keyof typeof STATES,
    code: HeadgateError["code"],
    message: RegExp,
  ][] = [
    ["fresh", "behind", /3 of its migrations are pending, first 1_m1\.sql$/],
    ["behind", "behind", /2 of its migrations are pending, first 2_m2\.sql$/],
    ["running", "behind", /migration 1 m1 is being built by another runner$/],
    ["interrupted", "interrupted", /1 m1 is failed and nobody works on it/],
    ["ahead", "ahead", /--policy exact accepts no newer schema$/],
    ["breaking", "ahead", /--policy exact accepts no newer schema$/],
    ["drifted", "drifted", /2 was edited/],
  ];
  test.each(table)("of %s is %s", (state, code, message) => {
    const error = notReadyError(STATES[state], "exact");
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.hint).toBeString();
  });

  test("says breaking when the policy would accept a newer schema", () => {
    expect(notReadyError(STATES.breaking, "at-least").message).toEndWith("is marked breaking");
  });
});
