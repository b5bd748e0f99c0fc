// biome-ignore-all lint/suspicious/noTemplateCurlyInString: made-up sources as text
import { describe, expect, test } from "bun:test";
import { sources } from "./support/source.ts";
import { type Constant, concatenations } from "./support/sql.ts";

const SOURCES = [...sources("src/db"), ...sources("src/flow"), ...sources("src/cli")];

const CONSTANTS: readonly Constant[] = [
  { path: "src/db/body.ts", text: "sql", reason: "the migration's own text" },
  { path: "src/db/gate-settings.ts", text: "name", reason: "a setting of the table above it" },
  { path: "src/db/gate-settings.ts", text: "value", reason: "a setting of the table above it" },
  {
    path: "src/db/connection.ts",
    text: "tagComment(options.tag)",
    reason: "a UUID of our own making",
  },
  {
    path: "src/db/connection.ts",
    text: "prefix + text",
    reason: "the run's comment before any text",
  },
  { path: "src/flow/access.ts", text: "text", reason: "passed on to whoever is opened first" },
];

test("no value is concatenated into SQL", () => {
  expect(SOURCES.flatMap((source) => concatenations(source, CONSTANTS, SOURCES))).toEqual([]);
});

test("every listed constant is still needed", () => {
  const idle = CONSTANTS.filter((constant) => {
    const others = CONSTANTS.filter((each) => each !== constant);
    return SOURCES.every((source) => concatenations(source, others, SOURCES).length === 0);
  });
  expect(idle).toEqual([]);
});

describe("concatenations() goes red on", () => {
  const table: readonly [path: string, text: string][] = [
    ["src/db/x.ts", "await connection.run(`select * from t where a = ${name}`);"],
    ["src/db/x.ts", "await connection.run(`select '${name.replaceAll(\"'\", \"''\")}'`);"],
    ["src/db/x.ts", "await connection.bind(`select ${column} from t where a = $1`, [value]);"],
    ["src/db/x.ts", "await sql.unsafe(`${text}`);"],
    ["src/db/x.ts", "await connection.run(text);"],
    ["src/db/x.ts", "await connection.run(text + name);"],
    ["src/db/x.ts", "const text = `lock table ${name} in share mode`; c.run(text);"],
    ["src/db/x.ts", "const text = `select ${quoteIdentifier(a)} || ${b}`; c.run(text);"],
    ["src/db/x.ts", "const text = `select ${quoteIdentifier(a) + b}`; c.run(text);"],
    ["src/db/x.ts", "const name = input.name;\nconst text = `select ${name}`;\nc.run(text);"],
    ["src/db/x.ts", "const text = `and a = ${is ? value : 1}`; c.run(text);"],
    ["src/db/x.ts", "function f(a: string): string {\n  return a;\n}\nc.run(f(x));"],
    ["src/flow/x.ts", "await connection.run(\n  `notify ${channel}`,\n);"],
  ];
  test.each(table)("%s with %s", (path, text) => {
    expect(concatenations({ path, text }, CONSTANTS)).toHaveLength(1);
  });

  const allowed: readonly [path: string, text: string][] = [
    [
      "src/db/x.ts",
      "await connection.run(`select ${integerLiteral(a)} from ${quoteLedger(place)}`);",
    ],
    ["src/db/x.ts", 'await connection.bind("select $1::text", [name]);'],
    ["src/db/x.ts", "await connection.run(`lock ${quoteIdentifier(nameOf(a))}`, UNBOUNDED);"],
    ["src/db/x.ts", 'const T = "a";\nconst u = a ? "" : `b ${T}`;\nc.run(`select ${u}`);'],
    ["src/db/x.ts", "function f(a: X): string {\n  return `a ${quoteLedger(a)}`;\n}\nc.run(f(x));"],
    ["src/db/x.ts", "throw new Error(`no answer within ${ms} ms`);"],
    ["src/flow/x.ts", "const hint = `grant select on ${name} to the role`;"],
  ];
  test.each(allowed)("and stays green on %s with %s", (path, text) => {
    expect(concatenations({ path, text }, CONSTANTS)).toEqual([]);
  });
});
