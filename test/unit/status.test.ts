import { describe, expect, test } from "bun:test";
import type { HeadState, Policy } from "../../src/core/head.ts";
import type { Ledger, LedgerRow } from "../../src/core/ledger.ts";
import { type StatusEntry, toReport } from "../../src/flow/status.ts";
import { bundleOf, foreignRow, present, rowFor } from "./ledgers.ts";

const BUNDLE = bundleOf(1, 2, 3);

function row(version: number, changes: Partial<LedgerRow> = {}): LedgerRow {
  const migration = BUNDLE.find((each) => each.version === version);
  return migration ? rowFor(migration, changes) : foreignRow(version, changes);
}

describe("toReport()", () => {
  type Cells = readonly (readonly [version: number, state: StatusEntry["state"]])[];
  const table: readonly [when: string, ledger: Ledger, kind: HeadState["kind"], entries: Cells][] =
    [
      [
        "there is no ledger",
        { kind: "absent" },
        "fresh",
        [
          [1, "pending"],
          [2, "pending"],
          [3, "pending"],
        ],
      ],
      [
        "some are applied",
        present(row(1)),
        "behind",
        [
          [1, "applied"],
          [2, "pending"],
          [3, "pending"],
        ],
      ],
      [
        "all are applied",
        present(row(1), row(2), row(3)),
        "at-head",
        [
          [1, "applied"],
          [2, "applied"],
          [3, "applied"],
        ],
      ],
      [
        "there is more",
        present(row(1), row(2), row(3), row(9)),
        "ahead",
        [
          [1, "applied"],
          [2, "applied"],
          [3, "applied"],
          [9, "unknown"],
        ],
      ],
      [
        "one is being built",
        present(row(1), row(2, { state: "running", alive: true })),
        "running",
        [
          [1, "applied"],
          [2, "running"],
          [3, "pending"],
        ],
      ],
      [
        "one is nobody's",
        present(row(1), row(2, { state: "running" })),
        "interrupted",
        [
          [1, "applied"],
          [2, "interrupted"],
          [3, "pending"],
        ],
      ],
      [
        "one failed",
        present(row(1), row(2, { state: "failed", alive: true })),
        "interrupted",
        [
          [1, "applied"],
          [2, "interrupted"],
          [3, "pending"],
        ],
      ],
      [
        "much drifted",
        present(row(0), row(1, { checksum: "edited" }), row(3, { history: "rewritten" })),
        "drifted",
        [
          [0, "unknown"],
          [1, "drifted"],
          [2, "drifted"],
          [3, "drifted"],
        ],
      ],
      [
        "one drifted and another failed",
        present(row(1, { checksum: "edited" }), row(2, { state: "failed" })),
        "drifted",
        [
          [1, "drifted"],
          [2, "interrupted"],
          [3, "pending"],
        ],
      ],
    ];
  test.each(table)("when %s", (_when, ledger, kind, entries) => {
    const report = toReport(BUNDLE, ledger, "at-least");
    expect(report.state.kind).toBe(kind);
    expect(report.entries.map(({ version, state }) => [version, state] as const)).toEqual([
      ...entries,
    ]);
  });

  test("gives each version its row and the bundle's name", () => {
    const theirs = row(2, { name: "renamed" });
    const { entries } = toReport(BUNDLE, present(row(1), theirs, row(3), row(9)), "at-least");
    expect(entries.map(({ name }) => name)).toEqual(["m1", "m2", "m3", "theirs"]);
    expect(entries[1]?.row).toBe(theirs);
    expect(toReport(BUNDLE, { kind: "absent" }, "exact").entries[0]?.row).toBeUndefined();
  });

  const ready: readonly [policy: Policy, then: boolean][] = [
    ["at-least", true],
    ["exact", false],
  ];
  test("says what a probe answers where that differs: rows below the head altered by hand", () => {
    const report = toReport(BUNDLE, present(row(1), row(3)), "at-least");
    expect(report).toMatchObject({ state: { kind: "drifted" }, isReady: false, probe: 0 });
  });

  test.each(ready)("answers as the probe does under %s", (policy, then) => {
    const ledger = present(row(1), row(2), row(3), row(4));
    expect(toReport(BUNDLE, ledger, policy).isReady).toBe(then);
  });
});
