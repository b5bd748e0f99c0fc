// biome-ignore-all lint/suspicious/noTemplateCurlyInString: nothing of it is expanded
import { describe, expect, test } from "bun:test";
import { parseEnvFile } from "../../src/config/env-file.ts";

describe("parseEnvFile()", () => {
  const table: readonly [text: string, then: Readonly<Record<string, string>>][] = [
    ["", {}],
    ["\n\n  \n", {}],
    ["# a comment\n  # another", {}],
    ["A=1", { A: "1" }],
    ["A=1\r\nB=2\r\n", { A: "1", B: "2" }],
    ["  A = 1  ", { A: "1" }],
    ["export A=1", { A: "1" }],
    ["A=", { A: "" }],
    ["A=b=c", { A: "b=c" }],
    ["A=b # c", { A: "b # c" }],
    ['A="b c"', { A: "b c" }],
    ["A='b c'", { A: "b c" }],
    [`A="b'c"`, { A: "b'c" }],
    [`A="b`, { A: '"b' }],
    [`A="`, { A: '"' }],
    ["A=$B${C}`d`\\n", { A: "$B${C}`d`\\n" }],
    ["A=1\nA=2", { A: "2" }],
    ["_a9=x", { _a9: "x" }],
    ["U=postgres://u:p@h/d?sslmode=require", { U: "postgres://u:p@h/d?sslmode=require" }],
  ];
  test.each(table)("of %j", (text, then) => {
    expect(parseEnvFile(text, "--env-file")).toEqual(then);
  });

  const bad: readonly [text: string, line: number][] = [
    ["s3cr3t", 1],
    ["A=1\n\n# x\ns3cr3t", 4],
    ["1A=s3cr3t", 1],
    ["A-B=s3cr3t", 1],
    ["=s3cr3t", 1],
    ["A: s3cr3t", 1],
  ];
  test.each(bad)("of %j refuses the line by its number, and does not show it", (text, line) => {
    const read = () => parseEnvFile(text, "--env-file");
    expect(read).toThrow(`line ${line} of the file that --env-file names is not KEY=value`);
    expect(read).not.toThrow("s3cr3t");
  });
});
