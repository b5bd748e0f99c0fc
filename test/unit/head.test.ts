import { describe, expect, test } from "bun:test";
import {
  type Drift,
  type HeadState,
  headOf,
  headState,
  isNonEmpty,
  isReady,
  type Policy,
  type TipState,
  tipState,
} from "../../src/core/head.ts";
import type { Ledger, LedgerRow } from "../../src/core/ledger.ts";
import { bundleOf, foreignRow, present, rowFor, tipOf } from "./ledgers.ts";
import { randomNumbers } from "./sql-fragments.ts";

type Kind = HeadState["kind"];

const ABSENT: Ledger = { kind: "absent" };
const BUNDLE = bundleOf(1, 2, 3);
const HEAD = headOf(BUNDLE);

function row(version: number, changes: Partial<LedgerRow> = {}): LedgerRow {
  const migration = BUNDLE.find((each) => each.version === version);
  return migration ? rowFor(migration, changes) : foreignRow(version, changes);
}

const EDITED = { checksum: "edited" };
const REWRITTEN = { history: "rewritten" };
const FAILED = { state: "failed" } as const;
const DEAD = { state: "running", alive: false } as const;
const ALIVE = { state: "running", alive: true } as const;
const BREAKING = { breaking: true };

describe("headState()", () => {
  // Order of lines = order of precedence: each state wins over all below it.
  // biome-ignore format: a table
  const table: readonly [when: string, ledger: Ledger, then: Kind][] = [
    ["a checksum differs", present(row(1, EDITED), row(2), row(3)), "drifted"],
    ["a history differs", present(row(1), row(2, REWRITTEN), row(3)), "drifted"],
    ["the head's history differs", present(row(1), row(2), row(3, REWRITTEN)), "drifted"],
    ["a version is missing below the highest", present(row(1), row(3)), "drifted"],
    ["the first version is missing", present(row(2)), "drifted"],
    ["the head is missing below a newer version", present(row(1), row(2), row(4)), "drifted"],
    ["all of ours are missing below a newer version", present(row(4)), "drifted"],
    ["an unknown version is below head", present(row(0), row(1), row(2), row(3)), "drifted"],
    ["an unknown version is the only row", present(row(0)), "drifted"],
    ["a checksum differs and a row failed", present(row(1, EDITED), row(2, FAILED)), "drifted"],
    ["a checksum differs on a living row", present(row(1), row(2, { ...EDITED, ...ALIVE })), "drifted"],
    ["a checksum differs and a newer row is there", present(row(1, EDITED), row(2), row(3), row(4)), "drifted"],
    ["a checksum differs and some are pending", present(row(1, EDITED)), "drifted"],
    ["a row failed", present(row(1), row(2, FAILED)), "interrupted"],
    ["a row failed although its owner lives", present(row(1), row(2, { ...FAILED, alive: true })), "interrupted"],
    ["a running row is nobody's", present(row(1), row(2, DEAD)), "interrupted"],
    ["the only row failed", present(row(1, FAILED)), "interrupted"],
    ["the head row failed", present(row(1), row(2), row(3, FAILED)), "interrupted"],
    ["a newer row failed", present(row(1), row(2), row(3), row(4, FAILED)), "interrupted"],
    ["the first unfinished row is nobody's", present(row(1), row(2, DEAD), row(3, ALIVE)), "interrupted"],
    ["a running row is alive", present(row(1), row(2, ALIVE)), "running"],
    ["the only row is being built", present(row(1, ALIVE)), "running"],
    ["the head row is being built", present(row(1), row(2), row(3, ALIVE)), "running"],
    ["a newer row is being built", present(row(1), row(2), row(3), row(4, ALIVE)), "running"],
    ["a newer breaking row is being built", present(row(1), row(2), row(3), row(4, { ...ALIVE, ...BREAKING })), "running"],
    ["the database has a version more", present(row(1), row(2), row(3), row(4)), "ahead"],
    ["the database has many more", present(row(1), row(2), row(3), row(7), row(9)), "ahead"],
    ["a newer version is breaking", present(row(1), row(2), row(3), row(4, BREAKING)), "ahead"],
    ["there is no ledger", ABSENT, "fresh"],
    ["the ledger is empty", present(), "fresh"],
    ["some versions are pending", present(row(1)), "behind"],
    ["the last version is pending", present(row(1), row(2)), "behind"],
    ["every version is applied", present(row(1), row(2), row(3)), "at-head"],
    ["every version is applied, one of them breaking", present(row(1), row(2), row(3, BREAKING)), "at-head"],
  ];
  test.each(table)("when %s", (_when, ledger, then) => {
    expect(headState(BUNDLE, ledger).kind).toBe(then);
  });

  const drifts: readonly [when: string, ledger: Ledger, then: readonly Drift[]][] = [
    [
      "everything drifted at once",
      present(row(0), row(1, EDITED), row(3, REWRITTEN)),
      [
        { version: 0, why: "unknown" },
        { version: 1, why: "checksum" },
        { version: 2, why: "missing" },
        { version: 3, why: "history" },
      ],
    ],
    [
      "checksum and history differ",
      present(row(1, { ...EDITED, ...REWRITTEN })),
      [{ version: 1, why: "checksum" }],
    ],
    [
      "a newer version stands alone",
      present(row(9)),
      [1, 2, 3].map((version) => ({ version, why: "missing" })),
    ],
  ];
  test.each(drifts)("names each version once, ascending, when %s", (_when, ledger, then) => {
    expect(headState(BUNDLE, ledger)).toMatchObject({ kind: "drifted", drifts: then });
  });

  test("carries what its handler needs", () => {
    expect(headState(BUNDLE, ABSENT)).toEqual({ kind: "fresh", pending: BUNDLE });
    expect(headState(BUNDLE, present(row(1)))).toMatchObject({
      kind: "behind",
      pending: BUNDLE.slice(1),
    });
    expect(headState(BUNDLE, present(row(1), row(2, FAILED)))).toEqual({
      kind: "interrupted",
      row: row(2, FAILED),
    });
    expect(headState(BUNDLE, present(row(1), row(2), row(3), row(4), row(5, BREAKING)))).toEqual({
      kind: "ahead",
      extra: [row(4), row(5, BREAKING)],
      breaking: true,
    });
  });

  test("does not take a gap between numbers for a missing version", () => {
    const bundle = bundleOf(10, 20, 35);
    expect(headState(bundle, present(...bundle.map((each) => rowFor(each)))).kind).toBe("at-head");
  });
});

describe("tipState()", () => {
  // biome-ignore format: a table
  const table: readonly [when: string, ledger: Ledger, then: Kind][] = [
    ["the head's history differs", present(row(1), row(2), row(3, REWRITTEN)), "drifted"],
    ["the head is missing below a newer version", present(row(1), row(2), row(4)), "drifted"],
    ["only a newer version is there", present(row(4)), "drifted"],
    ["the head's history differs and it failed", present(row(3, { ...REWRITTEN, ...FAILED })), "drifted"],
    ["the head is missing and a newer row is being built", present(row(2), row(4, ALIVE)), "drifted"],
    ["the row below failed", present(row(1), row(2, FAILED)), "interrupted"],
    ["the head row is nobody's", present(row(1), row(2), row(3, DEAD)), "interrupted"],
    ["a newer row failed", present(row(1), row(2), row(3), row(4, FAILED)), "interrupted"],
    ["the row below is being built", present(row(1), row(2, ALIVE)), "running"],
    ["the head row is being built", present(row(1), row(2), row(3, ALIVE)), "running"],
    ["a newer row is being built", present(row(1), row(2), row(3), row(4, ALIVE)), "running"],
    ["the database has a version more", present(row(1), row(2), row(3), row(4)), "ahead"],
    ["a newer version is breaking", present(row(1), row(2), row(3), row(4, BREAKING), row(5)), "ahead"],
    ["there is no ledger", ABSENT, "fresh"],
    ["the ledger is empty", present(), "fresh"],
    ["some versions are pending", present(row(1)), "behind"],
    ["every version is applied", present(row(1), row(2), row(3)), "at-head"],
  ];
  test.each(table)("when %s", (_when, ledger, then) => {
    expect(tipState(HEAD, tipOf(ledger, HEAD.version)).kind).toBe(then);
  });

  test("carries what its handler needs", () => {
    const tip = (ledger: Ledger): TipState => tipState(HEAD, tipOf(ledger, HEAD.version));
    expect(tip(present(row(1), row(2)))).toEqual({ kind: "behind", at: 2 });
    expect(tip(present(row(4)))).toEqual({
      kind: "drifted",
      drift: { version: 3, why: "missing" },
    });
    expect(tip(present(row(3, REWRITTEN)))).toEqual({
      kind: "drifted",
      drift: { version: 3, why: "history" },
    });
    expect(tip(present(row(3), row(4, BREAKING), row(5)))).toEqual({
      kind: "ahead",
      extra: [row(4, BREAKING), row(5)],
      breaking: true,
    });
  });

  test("proves a row edited below head by the head's history, as the runner wrote it", () => {
    const edited = bundleOf(1, 2, 3).map((each) => ({ ...each, history: `other ${each.version}` }));
    const ledger = present(...edited.map((each) => rowFor(each)));
    expect(tipState(HEAD, tipOf(ledger, 3)).kind).toBe("drifted");
  });
});

describe("tipState() and headState()", () => {
  interface Grown {
    readonly what: string;
    readonly size: number;
    readonly ledger: Ledger;
  }

  /** A ledger as runners leave it: a prefix, perhaps rows of a newer bundle, perhaps one unfinished end. */
  function grow(next: () => number): Grown {
    const upTo = (max: number): number => Math.floor(next() * (max + 1));
    const size = 1 + upTo(7);
    const newest = bundleOf(...Array.from({ length: size + 4 }, (_, i) => i + 1));
    const length = upTo(newest.length);
    const end = (["applied", "failed", "running"] as const)[upTo(2)] ?? "applied";
    const alive = next() < 0.5;
    const rows = newest.slice(0, length).map((migration, i) => {
      const isLast = i === length - 1;
      const breaking = next() < 0.2;
      return rowFor(
        migration,
        isLast ? { state: end, alive: end === "running" && alive, breaking } : { breaking },
      );
    });
    const isAbsent = length === 0 && next() < 0.5;
    const what = `${length} of ${newest.length} rows, bundle of ${size}, end ${end}`;
    return { what, size, ledger: isAbsent ? ABSENT : present(...rows) };
  }

  test("agree on every honest ledger", () => {
    const next = randomNumbers(20_260_727);
    const seen = new Map<Kind, number>();
    for (let i = 0; i < 2000; i += 1) {
      const { what, size, ledger } = grow(next);
      const bundle = bundleOf(...Array.from({ length: size }, (_, n) => n + 1));
      const whole = headState(bundle, ledger);
      const tip = tipState(headOf(bundle), tipOf(ledger, headOf(bundle).version));
      expect(`${what}: ${tip.kind}`).toBe(`${what}: ${whole.kind}`);
      for (const policy of ["at-least", "exact"] as const) {
        expect(isReady(tip, policy)).toBe(isReady(whole, policy));
      }
      seen.set(whole.kind, (seen.get(whole.kind) ?? 0) + 1);
    }
    expect([...seen.keys()].sort()).toEqual([
      "ahead",
      "at-head",
      "behind",
      "fresh",
      "interrupted",
      "running",
    ]);
  });
});

describe("isReady()", () => {
  const extra = [foreignRow(4)] as const;
  const table: readonly [state: HeadState | TipState, policy: Policy, then: boolean][] = [
    [{ kind: "at-head" }, "at-least", true],
    [{ kind: "at-head" }, "exact", true],
    [{ kind: "ahead", extra, breaking: false }, "at-least", true],
    [{ kind: "ahead", extra, breaking: false }, "exact", false],
    [{ kind: "ahead", extra, breaking: true }, "at-least", false],
    [{ kind: "ahead", extra, breaking: true }, "exact", false],
    [{ kind: "fresh" }, "at-least", false],
    [{ kind: "behind", at: 2 }, "at-least", false],
    [{ kind: "behind", pending: BUNDLE }, "exact", false],
    [{ kind: "running", row: row(2, ALIVE) }, "at-least", false],
    [{ kind: "interrupted", row: row(2, FAILED) }, "at-least", false],
    [{ kind: "drifted", drift: { version: 3, why: "history" } }, "at-least", false],
  ];
  test.each(table)("of %j under %s is %p", (state, policy, then) => {
    expect(isReady(state, policy)).toBe(then);
  });
});

describe("headOf()", () => {
  test("is the last migration's", () => {
    expect(headOf(BUNDLE)).toEqual({ version: 3, history: BUNDLE[2]?.history ?? "", size: 3 });
    expect(headOf(bundleOf(7))).toMatchObject({ version: 7, size: 1 });
  });
});

test("isNonEmpty() tells", () => {
  expect([isNonEmpty([]), isNonEmpty([undefined])]).toEqual([false, true]);
});
