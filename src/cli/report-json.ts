/** Reports as plain data, with the names that `--json` promises. */
import type { HeadState } from "../core/head.ts";
import type { LedgerRow } from "../core/ledger.ts";
import type { StatusReport } from "../flow/status.ts";

/** One migration that was applied or reverted. */
export function toApplied(entry: {
  readonly version: number;
  readonly name: string;
  readonly durationMs: number;
}): Readonly<Record<string, unknown>> {
  return { version: entry.version, name: entry.name, duration_ms: entry.durationMs };
}

/** The whole picture. */
export function toStatus(
  report: StatusReport,
  describe: (state: HeadState) => string,
): Readonly<Record<string, unknown>> {
  return {
    state: report.staleSeeds === undefined ? report.state.kind : "seeds-stale",
    ready: report.isReady,
    probe: report.probe,
    reason: report.staleSeeds ?? describe(report.state),
    migrations: report.entries.map(({ version, name, state, row }) => ({
      version,
      name,
      state,
      ...(row ? rowJson(row) : {}),
    })),
  };
}

function rowJson(row: LedgerRow): Readonly<Record<string, unknown>> {
  return {
    checksum: row.checksum,
    breaking: row.breaking,
    run: row.runId,
    started_at: row.startedAt,
    finished_at: row.finishedAt,
    duration_ms: row.durationMs,
    applied_by: row.appliedBy,
    tool_version: row.toolVersion,
    error: row.error,
  };
}
