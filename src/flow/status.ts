/** `status`: every migration with its state, and what a probe concludes and why. Only reads. */
import {
  type HeadState,
  headOf,
  headState,
  isReady,
  type Policy,
  tipOf,
  tipState,
} from "../core/head.ts";
import { type Ledger, type LedgerRow, rowsOf } from "../core/ledger.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import { type Access, connectReader, type World, withConnection } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";
import type { ProbeWish } from "./probe.ts";
import { staleSeeds } from "./required-seeds.ts";
import { readableName, readHeadState } from "./state.ts";

/** One line of the table: a migration of the bundle, a row of the ledger, or both. */
export interface StatusEntry {
  readonly version: number;
  readonly name: string;
  readonly state: "applied" | "pending" | "running" | "interrupted" | "drifted" | "unknown";
  readonly row: LedgerRow | undefined;
}

/** The whole picture, and what a probe makes of it. */
export interface StatusReport {
  readonly state: HeadState;
  /** Whether the whole ledger says that the schema is there. */
  readonly isReady: boolean;
  /** What a probe answers: it sees no row that was altered by hand below the head. */
  readonly probe: 0 | 1;
  /** Why the seeds are stale, where they are required. */
  readonly staleSeeds: string | undefined;
  /** Ascending by version. */
  readonly entries: readonly StatusEntry[];
}

/**
 * Reads the whole ledger.
 *
 * @throws {HeadgateError} `unreachable` or `privilege-missing` when the ledger cannot be read.
 */
export async function status(
  world: World,
  access: Access,
  bundle: NonEmpty<Migration>,
  { policy, seeds }: ProbeWish,
): Promise<StatusReport> {
  const connection = connectReader(world, access);
  return withConnection(connection, async () => {
    const name = await readableName(connection, access.main, access.ledger);
    const { ledger } = await readHeadState(connection, name, bundle);
    const report = toReport(bundle, ledger, policy);
    if (!seeds || (!report.isReady && report.probe === 1)) return report;
    const stale = await staleSeeds(connection, name, seeds, access.main.searchPath);
    if (stale === undefined) return report;
    return { ...report, isReady: false, probe: 1, staleSeeds: stale } satisfies StatusReport;
  }).catch((error: unknown) => {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  });
}

/** Pure, so that the table of states is tested without a database. */
export function toReport(
  bundle: NonEmpty<Migration>,
  ledger: Ledger,
  policy: Policy,
): StatusReport {
  const state = headState(bundle, ledger);
  const rows = new Map(rowsOf(ledger).map((row) => [row.version, row]));
  const drifted = new Set(
    state.kind === "drifted" ? state.drifts.map((drift) => drift.version) : [],
  );
  const ours = bundle.map((migration): StatusEntry => {
    const { version, name } = migration;
    const row = rows.get(version);
    return { version, name, row, state: drifted.has(version) ? "drifted" : stateOf(row) };
  });
  const known = new Set(bundle.map((migration) => migration.version));
  const foreign = rowsOf(ledger)
    .filter((row) => !known.has(row.version))
    .map((row): StatusEntry => ({ version: row.version, name: row.name, row, state: "unknown" }));
  const entries = [...ours, ...foreign].sort((a, b) => a.version - b.version);
  const seen = tipState(headOf(bundle), tipOf(headOf(bundle), ledger));
  const probe = isReady(seen, policy) ? 0 : 1;
  return { state, isReady: isReady(state, policy), probe, staleSeeds: undefined, entries };
}

function stateOf(row: LedgerRow | undefined): StatusEntry["state"] {
  if (!row) return "pending";
  if (row.state === "applied") return "applied";
  return row.state === "running" && row.alive ? "running" : "interrupted";
}
