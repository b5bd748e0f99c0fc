/** What the bench makes of its measurements, and that it does not take a failure for a good time. */
import { describe, expect, test } from "bun:test";
import { measure, median, ratio, storm } from "../bench/measure.ts";
import { renderReadme, renderTally, verdictOn } from "../bench/report.ts";

describe("verdictOn()", () => {
  test.each([
    ["met", { value: 0.8, target: 0.8, stretch: 0.6 }],
    ["stretch met", { value: 0.6, target: 0.8, stretch: 0.6 }],
    ["missed", { value: 0.81, target: 0.8, stretch: 0.6 }],
    ["missed", { value: 1, target: 0 }],
    ["met", { value: 0, target: 0 }],
    ["stretch met", { value: 0.1, stretch: 0.1 }],
    ["stretch missed", { value: 0.2, stretch: 0.1 }],
    ["", { value: 7 }],
  ])("%s", (verdict, aims) => {
    expect(verdictOn({ name: "x", ...aims })).toBe(verdict);
  });
});

test("renderTally() counts targets and names what missed one", () => {
  const figures = [
    { name: "a", value: 1, target: 2 },
    { name: "b", value: 3, target: 2 },
    { name: "c", value: 1, target: 3, stretch: 1 },
    { name: "d", value: 9, stretch: 1 },
    { name: "e", value: 9 },
  ];
  expect(renderTally(figures)).toBe("2 of 3 targets met, 1 stretch goals\n  missed: b");
});

test("renderReadme() says on what, how much, and what is not there", () => {
  const figures = [
    { name: "a / b, wall", value: 0.0371, target: 0.05 },
    { name: "failures", value: 0 },
  ];
  const text = renderReadme({ on: ["a machine", "a server"], figures, missing: ["psql (gone)"] });
  expect(text.split("\n")).toEqual([
    "Measured on a machine; a server.",
    "",
    "| Figure | Measured | Target | Stretch |  |",
    "| --- | --- | --- | --- | --- |",
    "| a / b, wall | 0.037 | ≤ 0.05 |  | met |",
    "| failures | 0 |  |  |  |",
    "",
    "Not compared: psql (gone).",
  ]);
});

test("ratio() is the middle of each round's own ratio", () => {
  const of = (...walls: number[]) => walls.map((wallMs) => ({ wallMs, cpuMs: 1 }));
  const samples = new Map([
    ["a", of(2, 30, 4)],
    ["b", of(1, 10, 4)],
  ]);
  expect(ratio(samples, "a", "b", "wallMs")).toBe(2);
  expect(ratio(samples, "a", "nobody", "wallMs")).toBeNaN();
  expect(median([4, 1, 3, 2])).toBe(2.5);
});

describe("a contender that fails", () => {
  const fails = { name: "bad", argv: ["sh", "-c", "echo broken >&2; exit 3"] };
  const works = { name: "good", argv: ["sh", "-c", "exit 0"] };

  test("ends the bench with what it said", () => {
    expect(measure([works, fails], 1)).rejects.toThrow("bad ended with 3: broken");
  });

  test("is counted among many", async () => {
    expect((await storm(fails, 3)).failures).toHaveLength(3);
    expect((await storm(works, 3)).failures).toEqual([]);
  });
});
