import { describe, expect, test } from "bun:test";
import {
  EXIT_STATUS,
  exitStatusOf,
  exitStatusOfState,
  exitStatusOfStatus,
} from "../../src/cli/exit-status.ts";
import { type ErrorCode, HeadgateError } from "../../src/core/error.ts";
import { type HeadState, isReady, type Policy } from "../../src/core/head.ts";
import { bundleOf, foreignRow, rowFor } from "./ledgers.ts";

test("EXIT_STATUS is what users' scripts and probes rely on: append, never renumber", () => {
  expect(EXIT_STATUS).toEqual({
    unexpected: 1,
    usage: 2,
    "config-invalid": 2,
    "bundle-invalid": 2,
    behind: 3,
    "migration-failed": 4,
    interrupted: 4,
    refused: 4,
    drifted: 5,
    "gate-timeout": 6,
    "deadline-passed": 6,
    unreachable: 7,
    "privilege-missing": 7,
    ahead: 8,
    "seed-failed": 9,
    sigint: 130,
    sigterm: 143,
  });
});

test.each(Object.entries(EXIT_STATUS))("exitStatusOf() a %s is %d", (code, status) => {
  expect(exitStatusOf(new HeadgateError("Cannot go on", { code: code as ErrorCode }))).toBe(status);
});

test("exitStatusOf() never reports a failure as success", () => {
  expect(Object.values(EXIT_STATUS)).not.toContain(0);
});

describe("exitStatusOfState()", () => {
  const bundle = bundleOf(1, 2);
  const row = rowFor(bundle[0]);
  const ahead = (breaking: boolean): HeadState => ({
    kind: "ahead",
    extra: [foreignRow(3)],
    breaking,
  });
  const table: readonly [state: HeadState, policy: Policy, status: number][] = [
    [{ kind: "at-head" }, "at-least", 0],
    [{ kind: "at-head" }, "exact", 0],
    [ahead(false), "at-least", 0],
    [ahead(false), "exact", 8],
    [ahead(true), "at-least", 8],
    [ahead(true), "exact", 8],
    [{ kind: "fresh", pending: bundle }, "at-least", 3],
    [{ kind: "behind", pending: bundle }, "at-least", 3],
    [{ kind: "running", row }, "at-least", 3],
    [{ kind: "interrupted", row }, "at-least", 4],
    [{ kind: "drifted", drifts: [{ version: 1, why: "missing" }] }, "exact", 5],
  ];
  test.each(table)("of %j under %s is %d", (state, policy, status) => {
    expect(exitStatusOfState(state, isReady(state, policy))).toBe(status);
    const report = { state, isReady: isReady(state, policy), staleSeeds: undefined };
    expect(exitStatusOfStatus(report)).toBe(status);
  });

  test("of migrations that are done and seeds that are not is 9, with a reason of any length", () => {
    for (const staleSeeds of ["seeds rbac have never been recorded", ""]) {
      const report = { state: { kind: "at-head" }, isReady: false, staleSeeds } as const;
      expect(exitStatusOfStatus(report)).toBe(9);
    }
  });
});
