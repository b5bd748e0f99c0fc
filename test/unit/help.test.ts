import { describe, expect, test } from "bun:test";
import { renderHelp } from "../../src/cli/help.ts";
import { settingsOf } from "../../src/cli/parse-argv.ts";
import { renderVersion } from "../../src/cli/render-version.ts";
import { ALIASES, COMMANDS, type CommandName } from "../../src/config/commands.ts";

const NAMES = Object.keys(COMMANDS) as CommandName[];
const TOPICS: readonly [name: string, topic: CommandName | undefined][] = [
  ["everything", undefined],
  ...NAMES.map((name): [string, CommandName] => [name, name]),
];

describe("renderHelp()", () => {
  test.each(TOPICS)("of %s", (_name, topic) => {
    expect(renderHelp(topic)).toMatchSnapshot();
  });

  test.each(TOPICS)(
    "of %s fits a terminal of 100 columns and ends in one line end",
    (_name, topic) => {
      const text = renderHelp(topic);
      expect(text.split("\n").filter((line) => line.length > 100)).toEqual([]);
      expect(text).toMatch(/[^\n]\n$/);
    },
  );

  test("names every command and alias in the overview", () => {
    const text = renderHelp(undefined);
    for (const word of [...Object.keys(COMMANDS), ...Object.keys(ALIASES)]) {
      expect(text).toMatch(new RegExp(`\\b${word}\\b`));
    }
  });

  test("names every flag of a command and its variables", () => {
    for (const command of NAMES) {
      const text = renderHelp(command);
      for (const { flag, variables } of settingsOf(command).values()) {
        for (const word of [`--${flag}`, ...variables]) expect(text).toContain(word);
      }
    }
  });
});

describe("renderVersion()", () => {
  const info = {
    version: "1.2.3",
    commit: "abc",
    target: "linux-x64-musl",
    runtimes: { node: "24.3.0", bun: "1.4.5" },
    head: { version: 14, size: 12, history: "f".repeat(64) },
    origin: "executable",
  } as const;

  test("as text", () => {
    expect(renderVersion(info, false)).toBe(
      `headgate 1.2.3 (abc), bun 1.4.5, linux-x64-musl\nbundle 12 migrations, head 14, fingerprint ${"f".repeat(64)}\n`,
    );
  });

  test("as JSON", () => {
    expect(renderVersion(info, true)).toEndWith("}\n");
    expect(JSON.parse(renderVersion(info, true))).toEqual({
      v: 1,
      command: "version",
      version: "1.2.3",
      commit: "abc",
      runtime: "bun 1.4.5",
      target: "linux-x64-musl",
      bundle: { head: 14, size: 12, fingerprint: "f".repeat(64), origin: "executable" },
    });
  });

  test("from source on Deno", () => {
    const source = { ...info, target: undefined, runtimes: { node: "24.3.0", deno: "2.9.6" } };
    expect(renderVersion(source, false)).toStartWith("headgate 1.2.3 (abc), deno 2.9.6, source\n");
  });
});
