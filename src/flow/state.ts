/** Reads the ledger and judges it: the lock-free half of "look twice". */
import { type Head, type HeadState, headState, type TipState, tipState } from "../core/head.ts";
import type { Ledger, LedgerName, LedgerPlace, LedgerRow, Tip } from "../core/ledger.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import type { Target } from "../core/target.ts";
import { readLedger, readTip } from "../db/ledger.ts";
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

async function settle(
  connection: Connection,
  name: LedgerName | LedgerPlace,
  row: LedgerRow,
  ownPid?: number,
): Promise<LedgerRow> {
  const place = await resolvePlace(connection, name);
  return { ...row, alive: await isAlive(connection, place, row, ownPid) };
}
