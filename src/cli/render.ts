/** Reports as text for people. One line ends each; stdout carries nothing else. */

import { renderDuration } from "../core/duration.ts";
import type { HeadState } from "../core/head.ts";
import type { Migration } from "../core/migration.ts";
import type { DownReport } from "../flow/down.ts";
import type { PlanReport } from "../flow/plan.ts";
import type { StatusEntry, StatusReport } from "../flow/status.ts";
import type { UpReport } from "../flow/up.ts";
import { renderPreview, renderSeed } from "./render-seed.ts";

/** What `up` did, one line per migration that it applied. */
export function renderUp(report: UpReport): string {
  return renderMigrated(report) + (report.seeds ? renderSeed(report.seeds) : "");
}

function renderMigrated(report: UpReport): string {
  const { applied, path } = report;
  if (path === "skipped") return "Migrations skipped: they are another runner's\n";
  if (applied.length === 0)
    return `Nothing to do: version ${report.head} is there (${path} path)\n`;
  const total = applied.reduce((sum, { durationMs }) => sum + durationMs, 0);
  const lines = applied.map(
    ({ version, name, durationMs }) => `  ${version} ${name} (${renderDuration(durationMs)})`,
  );
  return `Applied ${count(applied.length)} in ${renderDuration(total)} (${path} path)\n${lines.join("\n")}\n`;
}

/** What `down` did, newest first. */
export function renderDown(report: DownReport): string {
  const { reverted } = report;
  if (reverted.length === 0) return "Nothing to revert\n";
  const lines = reverted.map(({ version, name }) => `  ${version} ${name}`);
  return `Reverted ${count(reverted.length)}\n${lines.join("\n")}\n`;
}

/** SQL that can be read as it stands: everything else is a comment. */
export function renderPlan(report: PlanReport): string {
  if (report.waits)
    return "-- A migration is being built by another runner: up would wait for it\n";
  const parts = [...report.pending.map(renderPending), renderPreview(report.seeds)];
  return parts.filter((part) => part !== "").join("\n") || "-- Nothing to do\n";
}

function renderPending(migration: Migration): string {
  const { file, checksum, up } = migration;
  const sql = up.sql.trim();
  const end = sql.endsWith(";") ? "" : "\n;";
  const how = migration.options.transaction
    ? "in one transaction with its ledger row"
    : "outside a transaction, statement by statement";
  return `-- ${file} (sha256 ${checksum}), ${how}\n${sql}${end}\n`;
}

/** The conclusion, a blank line, and a table: version, state, name, details. */
export function renderStatus(report: StatusReport): string {
  const rows = report.entries.map(toCells);
  const widths = [0, 1, 2].map((column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0), 0),
  );
  const lines = rows.map((cells) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  const answer = `probe answers ${report.probe}`;
  const seeds = report.staleSeeds === undefined ? "" : `; seeds-stale: ${report.staleSeeds}`;
  return `${describeState(report.state)}${seeds}; ${answer}\n\n${lines.join("\n")}\n`;
}

function toCells(entry: StatusEntry): readonly string[] {
  const { row } = entry;
  const when = row?.finishedAt?.toISOString() ?? "";
  const took =
    row?.durationMs === undefined || row.durationMs === null ? "" : renderDuration(row.durationMs);
  const detail = [
    when,
    took,
    row?.appliedBy ?? "",
    (row?.error ?? "").replace(/\s+/g, " "),
    row?.breaking ? "breaking" : "",
  ];
  return [
    String(entry.version),
    entry.state,
    entry.name,
    detail.filter((text) => text !== "").join("  "),
  ];
}

/** What was concluded, and from what. */
export function describeState(state: HeadState): string {
  switch (state.kind) {
    case "at-head":
      return "at-head: every migration is applied, every checksum matches";
    case "ahead":
      return `ahead: all of ours are applied, and ${count(state.extra.length)} more${state.breaking ? ", one of them breaking" : ""}`;
    case "fresh":
      return `fresh: nothing is applied, ${state.pending.length} pending`;
    case "behind":
      return `behind: ${count(state.pending.length)} pending, first ${state.pending[0].file}`;
    case "running":
      return `running: ${state.row.version} ${state.row.name} is being built`;
    case "interrupted":
      return `interrupted: ${state.row.version} ${state.row.name} is ${state.row.state}, and nobody works on it`;
    case "drifted":
      return `drifted: ${state.drifts.map(({ version, why }) => `${version} (${why})`).join(", ")}`;
  }
}

function count(migrations: number): string {
  return migrations === 1 ? "1 migration" : `${migrations} migrations`;
}
