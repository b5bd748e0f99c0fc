import { describe, expect, test } from "bun:test";
import { redact } from "../../src/config/redact.ts";
import { EVENTS, type Level } from "../../src/core/events.ts";
import { createLog, type LogSettings } from "../../src/log/writer.ts";
import type { Fields } from "../../src/ports.ts";

function written(
  calls: readonly (readonly [event: string, fields?: Fields | undefined])[],
  settings: Partial<LogSettings> = {},
): string {
  let text = "";
  const log = createLog({
    format: "text",
    isTerminal: () => false,
    level: "debug",
    events: EVENTS,
    redact: (line) => line,
    now: () => new Date("2026-01-02T03:04:05.678Z"),
    write: (line) => {
      text += line;
    },
    ...settings,
  });
  for (const [event, fields] of calls) log(event, fields);
  return text;
}

describe("createLog() text", () => {
  const table: readonly [event: string, fields: Fields | undefined, line: string][] = [
    ["database.ready", undefined, "Database ready\n"],
    ["database.ready", { path: "fast", head: 14 }, "Database ready path=fast head=14\n"],
    ["database.ready", { a: undefined, b: null, c: false, d: "" }, "Database ready c=false d=\n"],
    ["probe.not-ready", { reason: "not yet" }, 'warn: Schema is not at head reason="not yet"\n'],
    ["connection.chosen", { source: "X" }, "debug: Connection settings chosen source=X\n"],
    [
      "command.failed",
      { code: "drifted", message: "line 1\nline 2", hint: "look" },
      "error: Command failed code=drifted hint=look\n  line 1\n  line 2\n",
    ],
    ["made.up", { n: 1 }, "made.up n=1\n"],
  ];
  test.each(table)("of %s with %j", (event, fields, line) => {
    expect(written([[event, fields]])).toBe(line);
  });
});

describe("createLog() json", () => {
  const parsed = (event: string, fields?: Fields): unknown => {
    const text = written([[event, fields]], { format: "json" });
    expect(text).toMatch(/^[^\n]*\n$/);
    return JSON.parse(text);
  };
  const START = {
    ts: "2026-01-02T03:04:05.678Z",
    level: "info",
    event: "database.ready",
    msg: "Database ready",
  };

  test("is one object a line, in order", () => {
    expect(written([["database.ready", { head: 14 }]], { format: "json" })).toBe(
      '{"ts":"2026-01-02T03:04:05.678Z","level":"info","event":"database.ready","msg":"Database ready","head":14}\n',
    );
  });

  test("leaves out what is not known", () => {
    expect(parsed("database.ready", { a: undefined, b: null, c: 0 })).toEqual({ ...START, c: 0 });
  });

  test("keeps a text of several lines in one", () => {
    expect(parsed("database.ready", { x: 'a\n"b"\u001b' })).toEqual({
      ...START,
      x: 'a\n"b"\u001b',
    });
  });

  test("does not let a field named message replace the marker", () => {
    expect(parsed("command.failed", { message: "Cannot go on" })).toMatchObject({
      level: "error",
      msg: "Command failed",
      reason: "Cannot go on",
    });
  });
});

describe("createLog() levels", () => {
  const ALL = ["connection.chosen", "database.ready", "peek.failed", "command.failed"];
  const table: readonly [level: Level, count: number][] = [
    ["debug", 4],
    ["info", 3],
    ["warn", 2],
    ["error", 1],
  ];
  test.each(table)("%s writes its own and those above", (level, count) => {
    const text = written(
      ALL.map((event) => [event] as const),
      { level, format: "json" },
    );
    const events = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).event as string);
    expect(events).toEqual(ALL.slice(-count));
  });
});

describe("createLog() redaction", () => {
  const settings = { redact: (line: string) => redact(line, ["hunter2"]) };
  test.each(["text", "json"] as const)("takes secrets out of every part of a %s line", (format) => {
    const fields = { reason: "password hunter2\nagain hunter2", url: "postgres://u:other@h/d" };
    const text = written(
      [
        ["peek.failed", fields],
        ["hunter2", { hunter2: 1 }],
      ],
      { ...settings, format },
    );
    expect(text).not.toContain("hunter2");
    expect(text).not.toContain("other");
    expect(text).toContain("***");
    if (format === "json") for (const line of text.trimEnd().split("\n")) JSON.parse(line);
  });
});

test("EVENTS are named noun.past-participle and their messages do not end in a period", () => {
  for (const [name, { message }] of Object.entries(EVENTS)) {
    expect(name).toMatch(/^[a-z]+\.[a-z]+(-[a-z]+)*$/);
    expect(message).not.toMatch(/\.$/);
  }
});

test("the format auto asks once whether a person reads along", () => {
  let asked = 0;
  const isTerminal = (): boolean => {
    asked += 1;
    return true;
  };
  const events = [["schema.at-head"], ["schema.at-head"]] as const;
  expect(written(events, { format: "auto", isTerminal })).not.toContain("{");
  expect(asked).toBe(1);
  expect(written(events, { format: "auto" })).toStartWith("{");
  written([], { format: "auto", isTerminal });
  expect(asked).toBe(1);
});
