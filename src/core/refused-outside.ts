/**
 * What a migration may not hold because of the way it runs: in a transaction the statements that
 * refuse one, outside of one those that need it, and those that nobody could recover.
 */
import { type BuildStep, stepOf } from "./build-step.ts";
import { type Refusal, refusedStatements } from "./refused-statements.ts";
import { type Statement, splitStatements, upperWord } from "./sql-statements.ts";

type Text = Pick<Refusal, "why" | "instead">;

const NEEDS_NO_TRANSACTION: Text = {
  why: "it cannot run in a transaction",
  instead: "put it into a migration of its own, with transaction:false on its marker or first line",
};
const NEEDS_TRANSACTION: Text = {
  why: "with transaction:false there is no transaction around it",
  instead: "leave it out, or put what belongs together into a migration without transaction:false",
};
const SETTING: Text = {
  why: "it outlives the migration and reaches other clients through a pooler",
  instead: "leave it out, or set it on the role",
};
const IF_NOT_EXISTS: Text = {
  why: "it takes the invalid index of an interrupted build for a finished one",
  instead: "leave IF NOT EXISTS out: headgate looks at the index first",
};
const UNNAMED: Text = {
  why: "an interrupted build can only be found again by the name of its index",
  instead: "name the index, without U&",
};

/** Leading words of statements that the server refuses in a transaction block. */
const OUTSIDE_ONLY: readonly string[] = [
  "ALTER SYSTEM",
  "CREATE DATABASE",
  "CREATE TABLESPACE",
  "DROP DATABASE",
  "DROP TABLESPACE",
  "VACUUM",
];
/** Leading words of statements that do nothing, or fail, outside of a transaction block. */
const INSIDE_ONLY: readonly string[] = [
  "DECLARE",
  "LOCK",
  "RELEASE",
  "ROLLBACK",
  "SAVEPOINT",
  "SET CONSTRAINTS",
  "SET LOCAL",
];
const SETTINGS: ReadonlySet<string> = new Set([
  "DISCARD",
  "RESET",
  "SET",
  "SET SESSION",
  "set_config(…, false)",
]);
const CONCURRENTLY_LEADS = /^(?:CREATE (?:UNIQUE )?INDEX|DROP INDEX) CONCURRENTLY(?: |$)/;
const CREATE_SUBSCRIPTION = /^CREATE SUBSCRIPTION(?: |$)/;
const SLOTLESS: ReadonlySet<string> = new Set(["CONNECT", "CREATE_SLOT"]);

/** Every refusal of a part that runs in one transaction, ascending by offset. */
export function refusedInside(sql: string): readonly Refusal[] {
  const statements = splitStatements(sql);
  const more = statements.flatMap((statement): readonly Refusal[] => {
    const what = outsideOnly(sql, statement);
    return what === undefined ? [] : [{ offset: statement.start, what, ...NEEDS_NO_TRANSACTION }];
  });
  return byOffset([...refusedStatements(sql, statements), ...more]);
}

/** Every refusal of a part that runs statement by statement, ascending by offset. */
export function refusedOutside(sql: string): readonly Refusal[] {
  const statements = splitStatements(sql);
  const common = refusedStatements(sql, statements).map(
    (refusal): Refusal => ({ ...refusal, ...textOutside(refusal) }),
  );
  const refused = new Set(common.map(({ offset }) => offset));
  const more = statements.flatMap((statement): readonly Refusal[] => {
    if (refused.has(statement.start)) return [];
    const lead = leadOf(INSIDE_ONLY, statement);
    if (lead !== undefined) return [{ offset: statement.start, what: lead, ...NEEDS_TRANSACTION }];
    return unrecoverable(statement.start, stepOf(sql, statement.tokens));
  });
  return byOffset([...common, ...more]);
}

/** What runs in a transaction says "use SET LOCAL"; here that does not help. */
function textOutside({ what, instead }: Refusal): Partial<Text> {
  if (SETTINGS.has(what)) return SETTING;
  return instead.includes("SAVEPOINT") || what.endsWith("TRANSACTION") ? NEEDS_TRANSACTION : {};
}

function unrecoverable(offset: number, step: BuildStep): readonly Refusal[] {
  if (step.kind !== "create-index") return [];
  const what = "CREATE INDEX CONCURRENTLY";
  if (step.isIfNotExists) return [{ offset, what: `${what} IF NOT EXISTS`, ...IF_NOT_EXISTS }];
  return step.index === undefined ? [{ offset, what: `${what} without a name`, ...UNNAMED }] : [];
}

function outsideOnly(sql: string, statement: Statement): string | undefined {
  const lead = statement.words.join(" ");
  const [concurrently] = CONCURRENTLY_LEADS.exec(lead) ?? [];
  if (concurrently !== undefined) return concurrently.trim();
  if (statement.words[0] === "REINDEX") return reindexOutside(sql, statement);
  if (isDetachConcurrently(sql, statement)) return "DETACH PARTITION CONCURRENTLY";
  if (CREATE_SUBSCRIPTION.test(lead) && !hasWord(sql, statement, SLOTLESS)) {
    return "CREATE SUBSCRIPTION";
  }
  return leadOf(OUTSIDE_ONLY, statement);
}

const WHOLE: ReadonlySet<string> = new Set(["DATABASE", "SCHEMA", "SYSTEM"]);

/** Either way, a whole schema or database is done in transactions of its own. */
function reindexOutside(sql: string, { tokens }: Statement): string | undefined {
  const words = tokens.slice(0, REINDEX_WORDS_MAX).map((token) => upperWord(sql, token));
  if (words.includes("CONCURRENTLY")) return "REINDEX CONCURRENTLY";
  const whole = words.find((word) => WHOLE.has(word));
  return whole === undefined ? undefined : `REINDEX ${whole}`;
}

/** `reindex (verbose, concurrently, tablespace a) index …`: names stand behind these. */
const REINDEX_WORDS_MAX = 9;

function isDetachConcurrently(sql: string, { tokens, words }: Statement): boolean {
  if (words[0] !== "ALTER" || words[1] !== "TABLE") return false;
  const all = tokens.map((token) => upperWord(sql, token));
  return all.includes("DETACH") && all.at(-1) === "CONCURRENTLY";
}

function hasWord(sql: string, { tokens }: Statement, words: ReadonlySet<string>): boolean {
  return tokens.some((token) => words.has(upperWord(sql, token)));
}

const LEAD_WORDS_MAX = 2;

function leadOf(leads: readonly string[], { words }: Statement): string | undefined {
  const text = words.slice(0, LEAD_WORDS_MAX).join(" ");
  return leads.find((lead) => text === lead || text.startsWith(`${lead} `));
}

function byOffset(refusals: readonly Refusal[]): readonly Refusal[] {
  return [...refusals].sort((a, b) => a.offset - b.offset);
}
