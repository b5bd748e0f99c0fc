/** A sample of the kill matrix. `bun run matrix` runs all of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { allCases, FAULTS, MOMENTS, sampleOf } from "../matrix/cases.ts";
import { describeVerdict, type Matrix, runMatrix } from "../matrix/run-matrix.ts";
import { buildFaulty } from "../support/fault-build.ts";
import { BINARY } from "../support/headgate.ts";
import { openSubstrate, type Substrate } from "../support/substrate.ts";

/** Another one runs other cases in another order; a red case is repeated by its seed. */
const SEED = Number(process.env["MATRIX_SEED"] ?? 1);
const SIZE = 30;
/** A red sample says why by itself, so that its time may be long. */
const TIMEOUT_MS = 600_000;

let substrate: Substrate;
let faulty: Awaited<ReturnType<typeof buildFaulty>>;

beforeAll(async () => {
  faulty = await buildFaulty();
  substrate = await openSubstrate("local");
}, 120_000);
afterAll(async () => {
  faulty.remove();
  await substrate.close();
});

test("the shipped binary cannot be told to stop, and the test build can", () => {
  expect(readFileSync(BINARY).includes("HEADGATE_FAULT")).toBe(false);
  expect(readFileSync(faulty.binary).includes("HEADGATE_FAULT")).toBe(true);
});

test(
  `after every fault a plain up converges, and all invariants hold (seed ${SEED})`,
  async () => {
    const cases = sampleOf(allCases(SEED), SIZE);
    expect(new Set(cases.map(({ fault }) => fault)).size).toBe(Object.keys(FAULTS).length);
    expect(new Set(cases.map(({ moment }) => moment)).size).toBe(Object.keys(MOMENTS).length);
    const matrix: Matrix = await runMatrix(substrate, cases, {
      cast: { victim: faulty.binary },
      jobs: 5,
      lanes: 1,
      onVerdict: () => undefined,
    });
    const red = matrix.verdicts.filter(({ violations }) => violations.length > 0);
    expect(red.map(describeVerdict)).toEqual([]);
    expect(matrix.verdicts).toHaveLength(SIZE);
  },
  TIMEOUT_MS,
);
