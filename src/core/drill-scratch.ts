/** Where a drill works, and how that place is named. */
import { parseLedgerName } from "./identifier.ts";
import type { LedgerPlace } from "./ledger.ts";

/** Where a drill works: a schema of its own, or tables with its name in front of theirs. */
export interface Scratch {
  /** `headgate_drill_` and twelve hexadecimal digits. */
  readonly name: string;
  /** True: the schema is the drill's, and goes with it. */
  readonly ownsSchema: boolean;
  readonly ledger: LedgerPlace;
  /** One row per migration that was committed: what shows a double run although no ledger does. */
  readonly audit: LedgerPlace;
}

const NAME = /^headgate_drill_[0-9a-f]{12}$/;
const LEDGER = "ledger";

/**
 * Names a scratch place.
 *
 * @param existing Undefined: a schema of its own.
 * @example `scratchOf("0123456789ab", undefined).ledger.schema` is `headgate_drill_0123456789ab`
 */
export function scratchOf(token: string, existing: string | undefined): Scratch {
  const name = `headgate_drill_${token}`;
  const schema = existing ?? name;
  const prefix = existing === undefined ? "" : `${name}_`;
  return {
    name,
    ownsSchema: existing === undefined,
    ledger: { schema, table: prefix + LEDGER },
    audit: { schema, table: `${prefix}audit` },
  };
}

/** The twelve digits of a UUID's beginning. */
export function tokenOf(uuid: string): string {
  return uuid.replaceAll("-", "").slice(0, 12);
}

/**
 * Reads the qualified name of a drill's ledger. No other table has such a name, so a runner that was
 * given one can touch nobody's ledger.
 */
export function parseScratch(text: string): Scratch | undefined {
  const ledger = parseLedgerName(text);
  if (ledger?.schema === undefined) return undefined;
  const { schema, table } = ledger;
  const own = NAME.test(schema) ? scratchOf(schema.slice(-12), undefined) : undefined;
  const name = table.slice(0, -LEDGER.length - 1);
  const named = NAME.test(name) ? scratchOf(name.slice(-12), schema) : undefined;
  return [own, named].find((each) => each?.ledger.table === table);
}
