/**
 * What becomes of resources that nobody owns: they are the admin's, and public unless they are a
 * team's. A value that the admin already has there gets a number.
 */
import {
  type FoundOrphan,
  isDerived,
  type OrphanChange,
  type OrphanRename,
  type OrphansFound,
  type OrphanTable,
} from "./orphan.ts";
import { slugify } from "./slug.ts";

/** Which orphans are seen to, and what their values depend on. */
export interface OrphanWish {
  readonly orphans: "leave" | "ownerless" | "all";
  /** Between the words of a slug, and between a gateway's slug and its tool's. */
  readonly separator: string;
  /** Undefined: the team is created in the same plan, and nothing is taken there. */
  readonly personalTeamId: string | undefined;
}

/** One change per orphan, in their order. Applying them leaves nothing for the next plan. */
export function planOrphans(found: OrphansFound, wish: OrphanWish): readonly OrphanChange[] {
  const taken = new Map<string, Set<string>>();
  const takenIn = (table: OrphanTable, teamId: string | undefined): Set<string> => {
    const key = `${table}/${teamId ?? ""}`;
    const values = taken.get(key) ?? new Set();
    taken.set(key, values);
    return values;
  };
  for (const { table, teamId, value } of found.taken) takenIn(table, teamId).add(value);
  return found.rows
    .filter((row) => isOrphan(row, wish.orphans))
    .map((row) => {
      const values = takenIn(row.table, row.teamId ?? wish.personalTeamId);
      const change = changeOf(row, values, wish.separator);
      const value = change.rename?.value ?? change.value;
      if (value !== null) values.add(value);
      return change;
    });
}

function changeOf(row: FoundOrphan, taken: ReadonlySet<string>, separator: string): OrphanChange {
  const { table, id, value, ownerEmail, teamId } = row;
  return {
    table,
    id,
    value,
    ownerEmail,
    teamId: teamId ?? undefined,
    visibility: teamId === null ? "public" : (row.visibility ?? "public"),
    rename:
      value !== null && taken.has(value)
        ? freeRename(namingOf(row, value, separator), taken)
        : undefined,
  };
}

/**
 * Which values can stand in a row's way: those that equal a stem, or are one and a number. A long
 * value has several stems: a longer number leaves less of it.
 */
export function stemsOf(row: FoundOrphan, separator: string): readonly string[] {
  if (row.value === null) return [];
  const naming = namingOf(row, row.value, separator);
  const numbers = [1, 10, 100, 1000, 10_000, 100_000];
  return [...new Set([row.value, ...numbers.map((number) => stemOf(naming, number))])];
}

function isOrphan(row: FoundOrphan, orphans: OrphanWish["orphans"]): boolean {
  if (orphans === "leave") return false;
  return row.ownerEmail === null || (orphans === "all" && row.teamId === null);
}

/** The columns' lengths in characters. */
const LENGTH = 255;
const URI_LENGTH = 767;
/** Longer numbers are a part of the name: one more would not be exact. */
const NUMBER = /^\d{1,15}$/;

/** How a row's value comes about. */
interface Naming {
  /** What a number is added to. */
  readonly text: string;
  readonly derive: (text: string) => string;
  readonly limit: number;
  readonly slug: ((text: string) => string) | undefined;
}

function namingOf(row: FoundOrphan, value: string, separator: string): Naming {
  if (!isDerived(row.table)) {
    const limit = row.table === "resources" ? URI_LENGTH : LENGTH;
    return { text: value, derive: (text) => text, limit, slug: undefined };
  }
  const slug = (text: string): string => slugify(text, separator);
  const gateway = slug(row.gatewayName ?? "");
  const prefix = gateway === "" ? "" : gateway + separator;
  const derive = (text: string): string => prefix + slug(text);
  return { text: row.customName ?? value, derive, limit: LENGTH, slug };
}

/** One more than the highest number in use, which leaves gaps; then on until it is really free. */
function freeRename(naming: Naming, taken: ReadonlySet<string>): OrphanRename {
  let number = highestNumber(stemOf(naming, 1), taken) + 1;
  let rename = withNumber(naming, naming.text, number);
  while (taken.has(rename.value)) {
    number += 1;
    rename = withNumber(naming, naming.text, number);
  }
  return rename;
}

/** At least 1: the value without a number is the first. */
function highestNumber(stem: string, taken: ReadonlySet<string>): number {
  let highest = 1;
  for (const value of taken) {
    const rest = value.startsWith(stem) ? value.slice(stem.length) : "";
    if (NUMBER.test(rest)) highest = Math.max(highest, Number(rest));
  }
  return highest;
}

/** What stands before a number of as many digits. */
function stemOf(naming: Naming, number: number): string {
  return withNumber(naming, naming.text, number).value.replace(/\d+$/, "");
}

/** Cuts the text until neither it nor what is derived from it is too long. */
function withNumber(naming: Naming, text: string, number: number): OrphanRename {
  const numbered = `${text}-${number}`;
  const value = naming.derive(numbered);
  const excess = Math.max(lengthOf(numbered), lengthOf(value)) - naming.limit;
  if (excess > 0 && text !== "") {
    return withNumber(naming, cut(text, lengthOf(text) - excess), number);
  }
  const { slug } = naming;
  return slug
    ? { value, customName: numbered, customNameSlug: slug(numbered) }
    : { value, customName: undefined, customNameSlug: undefined };
}

/** In characters, as the server counts them. */
function lengthOf(text: string): number {
  return [...text].length;
}

function cut(text: string, length: number): string {
  return [...text].slice(0, Math.max(0, length)).join("");
}
