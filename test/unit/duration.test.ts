import { expect, test } from "bun:test";
import { parseDurationMs, renderDuration } from "../../src/core/duration.ts";

const readable: readonly [text: string, ms: number | undefined][] = [
  ["500ms", 500],
  ["3s", 3000],
  ["15m", 900_000],
  ["2h", 7_200_000],
  ["7", 7000],
  ["0", 0],
  ["007", 7000],
  ["1.5s", 1500],
  ["1.1", 1100],
  ["0.001s", 1],
  ["0.25m", 15_000],
  [" 3s ", 3000],
  ["576h", 2_073_600_000],
  ["576.001h", undefined],
  ["720h", undefined],
  ["0.5ms", undefined],
  ["0.0001s", undefined],
  ["", undefined],
  ["s", undefined],
  ["-1s", undefined],
  ["+1s", undefined],
  ["1e3", undefined],
  ["3 s", undefined],
  ["3S", undefined],
  ["1d", undefined],
  ["Infinity", undefined],
  ["NaN", undefined],
  [".5s", undefined],
  ["1.", undefined],
  ["0x10", undefined],
  ["3s3s", undefined],
  ["9".repeat(400), undefined],
  ["٣s", undefined],
];

test.each(readable)("parseDurationMs(%p) is %p", (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

const rendered: readonly [ms: number, text: string][] = [
  [0, "0 ms"],
  [250, "250 ms"],
  [999.6, "1 s"],
  [1000, "1 s"],
  [1500, "1.5 s"],
  [3000, "3 s"],
  [59_999, "59.999 s"],
  [60_000, "1 min"],
  [65_000, "1 min 5 s"],
  [119_600, "2 min"],
  [3_600_000, "1 h"],
  [3_665_000, "1 h 1 min 5 s"],
  [90_000_000, "1 d 1 h"],
  [-5, "-5 ms"],
];

test.each(rendered)("renderDuration(%p) is %p", (ms, text) => {
  expect(renderDuration(ms)).toBe(text);
});
