import { expect, test } from "bun:test";
import { buildBundle } from "../../src/core/bundle.ts";
import { headState, isNonEmpty } from "../../src/core/head.ts";
import type { LedgerRow } from "../../src/core/ledger.ts";
import type { Migration, NonEmpty } from "../../src/core/migration.ts";
import { decideUpOrResume } from "../../src/core/resume.ts";
import { present, rowFor } from "./ledgers.ts";

const OUTSIDE = "-- headgate: transaction:false\n";
const CIC = "create index concurrently i on t (c);";

function bundleOf(second: string): NonEmpty<Migration> {
  const files = [
    { file: "1_a.sql", text: "select 1;\n" },
    { file: "2_b.sql", text: second },
    { file: "3_c.sql", text: "select 3;\n" },
  ];
  const bundle = buildBundle(files, "./migrations");
  if (isNonEmpty(bundle)) return bundle;
  throw new Error("a bundle needs a version");
}

function decide(sql: string, changes: Partial<LedgerRow>, to?: number): string {
  const bundle = bundleOf(sql);
  const [first, second] = bundle as readonly [Migration, Migration];
  const ledger = present(rowFor(first), rowFor(second, { state: "running", ...changes }));
  const wish = { policy: "at-least", to } as const;
  return decideUpOrResume(bundle, headState(bundle, ledger), wish).kind;
}

const table: readonly [when: string, sql: string, changes: Partial<LedgerRow>, then: string][] = [
  ["its index may be built again", `${OUTSIDE}${CIC}`, {}, "resume"],
  ["its runner lives", `${OUTSIDE}${CIC}`, { alive: true }, "wait"],
  ["it failed", `${OUTSIDE}${CIC}`, { state: "failed" }, "refuse"],
  [
    "the next statement may have run",
    `${OUTSIDE}${CIC} select 1;`,
    { statementsDone: 1 },
    "refuse",
  ],
  [
    "a statement behind the next one may not be repeated",
    `${OUTSIDE}${CIC} select 1;`,
    {},
    "resume",
  ],
  ["only the last word is missing", `${OUTSIDE}select 1;`, { statementsDone: 1 }, "resume"],
  ["its count is beyond the file", `${OUTSIDE}select 1;`, { statementsDone: 2 }, "refuse"],
  ["it should have been a transaction", "select 2;", {}, "refuse"],
];

test.each(table)("decideUpOrResume() of a running row when %s", (_when, sql, changes, then) => {
  expect(decide(sql, changes)).toBe(then);
});

test("decideUpOrResume() resumes nothing above --to", () => {
  expect(decide(`${OUTSIDE}${CIC}`, {}, 1)).toBe("refuse");
  expect(decide(`${OUTSIDE}${CIC}`, {}, 2)).toBe("resume");
});
