/** Reads the ledger and judges it: the lock-free half of "look twice". */
import { type Head, type HeadState, headState, type TipState, tipState } from "../core/head.ts";
import {
  type Ledger,
  type LedgerName,
  type LedgerPlace,
  type LedgerRow,
  rowsOf,
  type Tip,
  type TipRow,
} from "../core/ledger.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import type { Target } from "../core/target.ts";
import { readLedger, readRowsFrom, readTip } from "../db/ledger.ts";
import { isAlive } from "../db/liveness.ts";
import { resolvePlace } from "../db/place.ts";
import type { Connection } from "../ports.ts";

/**
 * The name to read by. A search path that the target asks for is no start-up parameter (poolers
 * refuse it), so the ledger is looked up on it once.
 */
export async function readableName(
  connection: Connection,
  target: Target,
  name: LedgerName,
): Promise<LedgerName> {
  if (name.schema !== undefined || target.searchPath === undefined) return name;
  return resolvePlace(connection, name, target.searchPath);
}

/** By one index look-up. A row that is not finished costs one more question. */
export async function readTipState(
  connection: Connection,
  name: LedgerName,
  head: Head,
): Promise<{ readonly state: TipState; readonly tip: Tip }> {
  const tip = await readTip(connection, name, head.version);
  const state = tipState(head, tip);
  if (state.kind !== "interrupted" || state.row.state !== "running") return { state, tip };
  const row = await settle(connection, name, state.row);
  return { state: row.alive ? { kind: "running", row } : state, tip };
}

/** Everything: every row, and whether somebody works on an unfinished one. */
export async function readHeadState(
  connection: Connection,
  name: LedgerName,
  bundle: NonEmpty<Migration>,
): Promise<{ readonly state: HeadState; readonly ledger: Ledger }> {
  const ledger = await readSettledLedger(connection, name);
  return { state: headState(bundle, ledger), ledger };
}

/**
 * The ledger with `alive` found out for its running rows.
 *
 * @param ownPid As `isAlive` takes it.
 */
export async function readSettledLedger(
  connection: Connection,
  name: LedgerName | LedgerPlace,
  ownPid?: number,
): Promise<Ledger> {
  const ledger = await readLedger(connection, name);
  if (ledger.kind === "absent") return ledger;
  const rows: LedgerRow[] = [];
  for (const row of ledger.rows) {
    rows.push(row.state === "running" ? await settle(connection, name, row, ownPid) : row);
  }
  return { kind: "present", rows };
}

/**
 * The same for a run that has read it before: the rows from the last one it knows. That row's history
 * proves those below, as it does to a probe; is it not the one that this run knows, all are read.
 */
export async function readSettledRest(
  connection: Connection,
  place: LedgerPlace,
  known: Ledger,
): Promise<Ledger> {
  const before = rowsOf(known);
  const tip = before.at(-1);
  if (!tip) return readSettledLedger(connection, place);
  const rest = await readRowsFrom(connection, place, tip.version);
  const isKnown = rest[0] !== undefined && isSameRow(rest[0], tip);
  if (!isKnown || rest.some(({ state }) => state !== "applied")) {
    return readSettledLedger(connection, place);
  }
  return { kind: "present", rows: [...before.slice(0, -1), ...rest] };
}

function isSameRow(one: LedgerRow, other: LedgerRow): boolean {
  const same = (key: keyof LedgerRow): boolean => one[key] === other[key];
  return (["version", "checksum", "history", "state", "runId"] as const).every(same);
}

async function settle<Row extends TipRow>(
  connection: Connection,
  name: LedgerName | LedgerPlace,
  row: Row,
  ownPid?: number,
): Promise<Row> {
  const place = await resolvePlace(connection, name);
  return { ...row, alive: await isAlive(connection, place, row, ownPid) };
}
