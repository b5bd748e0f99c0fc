/**
 * The server's own parser judges how PostgreSQL's regression files are split: it takes one statement
 * in a Parse message and no more. A piece that holds two is refused with those words, and a piece
 * that was cut in the middle is a syntax error; the files have some of these on purpose (data of
 * COPY, variables of psql, errors to be provoked), and they are counted.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { basename } from "node:path";
import postgres from "postgres";
import { isPsqlCommand, splitStatements } from "../../src/core/sql-statements.ts";
import { useServers } from "../support/use-servers.ts";
import { regressionFiles } from "../unit/sql-fragments.ts";

const SYNTAX_ERROR = "42601";

const servers = useServers();

let sql: postgres.Sql;
beforeAll(async () => {
  const { url } = await servers.postgres.createDatabase();
  sql = postgres(url, { max: 1, prepare: false, fetch_types: false, onnotice() {} });
});
afterAll(() => sql.end());

type Verdict = "one" | "several" | "syntax";

/** What is not a matter of syntax, such as a table that is not there, is found later. */
async function judge(piece: string): Promise<Verdict> {
  try {
    await sql.unsafe(piece).describe();
    return "one";
  } catch (error) {
    const { code, message } = error as postgres.PostgresError;
    if (code !== SYNTAX_ERROR) return "one";
    return message.includes("multiple commands") ? "several" : "syntax";
  }
}

interface Counts {
  readonly several: number;
  readonly syntax: number;
}

async function count(pieces: readonly string[]): Promise<Counts> {
  const verdicts: Verdict[] = [];
  for (const piece of pieces) verdicts.push(await judge(piece));
  const of = (verdict: Verdict): number => verdicts.filter((each) => each === verdict).length;
  return { several: of("several"), syntax: of("syntax") };
}

function piecesOf(text: string): readonly string[] {
  return splitStatements(text)
    .filter((statement) => !isPsqlCommand(text, statement))
    .map(({ start, end }) => text.slice(start, end));
}

/** By file, where it has any: looked at one by one, and none is a piece of something. */
const SYNTAX_ERRORS: Readonly<Record<string, number>> = {
  "collate.icu.utf8.sql": 2,
  "copy2.sql": 47,
  "copyselect.sql": 4,
  "create_index.sql": 4,
  "create_view.sql": 3,
  "errors.sql": 43,
  "event_trigger.sql": 1,
  "numerology.sql": 9,
  "plpgsql.sql": 1,
  "polymorphism.sql": 2,
  "psql.sql": 16,
  "rangefuncs.sql": 2,
  "rules.sql": 1,
  "strings.sql": 23,
  "xml.sql": 3,
};

test("each piece is one statement", async () => {
  const files = await regressionFiles();
  expect(files).toHaveLength(24);
  const found: Record<string, number> = {};
  for (const { path, text } of files) {
    const { several, syntax } = await count(piecesOf(text));
    expect({ path, several }).toEqual({ path, several: 0 });
    if (syntax > 0) found[basename(path)] = syntax;
  }
  expect(found).toEqual(SYNTAX_ERRORS);
});

test("split at each semicolon the same files are full of errors", async () => {
  const file = (await regressionFiles()).find(({ path }) => path.endsWith("/plpgsql.sql"));
  const { syntax } = await count((file?.text ?? "").split(";").slice(0, 500));
  expect(syntax).toBeGreaterThan(250);
});

test("a piece of two statements is refused in those words", async () => {
  expect(await judge("select 1; select 2")).toBe("several");
});
