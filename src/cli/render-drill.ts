/** A drill for people and as plain data. */
import { renderDuration } from "../core/duration.ts";
import type { DrillReport } from "../flow/drill.ts";
import type { Contrast } from "../flow/drill-contrast.ts";

/** The setting, what was seen, and the verdict last. */
export function renderDrill(report: DrillReport): string {
  const { route, isPooled, replicas, migrations, race, faults } = report;
  const way = isPooled ? "through a pooler" : "no pooler seen";
  const lines = [
    `Drill on ${route} (${way}): ${count(replicas, "runner")}, ${migrations} migrations, ${killedOf(report)}`,
    ...reducedOf(report),
    `  took ${seconds(race.durationMs)}${recoveryOf(report)}`,
    ...(report.contrast ? renderContrast(report.contrast) : []),
    ...faults.flatMap(({ what, why }) => [`  FAULT: ${what}`, `         ${why}`]),
    verdictOf(report),
  ];
  return `${lines.join("\n")}\n`;
}

function killedOf({ race: { kills } }: DrillReport): string {
  if (kills.length === 0) return "nobody killed";
  return `${kills.length} killed, ${insideOf(kills)} of them inside the gate`;
}

function reducedOf({ asked, replicas, free, race: { kills } }: DrillReport): readonly string[] {
  const lines: string[] = [];
  if (replicas < asked.replicas) {
    lines.push(
      `  ${asked.replicas} were asked for: half of the ${free} free connections is the limit`,
    );
  }
  if (kills.length < asked.kill) {
    lines.push(`  ${count(asked.kill, "kill")} asked for: the race was over before the others`);
  }
  return lines;
}

function recoveryOf({ race: { recoveryMs, headAfterMs } }: DrillReport): string {
  const recovery =
    recoveryMs === undefined
      ? ""
      : `; after a kill inside the gate the next runner was at work within ${seconds(recoveryMs)}`;
  const head =
    headAfterMs === undefined
      ? ""
      : `; head was reached ${seconds(headAfterMs)} after the last kill`;
  return recovery + head;
}

function verdictOf({ faults, migrations, contrast }: DrillReport): string {
  if (faults.length > 0) return `Verdict: ${count(faults.length, "fault")}`;
  const locks = contrast ? "no lock of headgate's" : "no lock";
  return `Verdict: good. Each of ${migrations} migrations ran once, every surviving runner reached head, and ${locks} and no session was left`;
}

function renderContrast(contrast: Contrast): readonly string[] {
  const { clients, killed, insideAtOnce, lostUnlocks, gaveUp, failed, orphans, left } = contrast;
  const pids = orphans.map(({ pid }) => pid).join(", ");
  const freed = orphans.filter(({ pid }) => !left.some((each) => each.pid === pid));
  return [
    `Contrast, a session-level lock (pg_advisory_lock) on the same route: ${count(clients, "client")}, ${killed} gone while they held it`,
    `  at most ${insideAtOnce} at a time held it`,
    `  ${lostUnlocks} unlocks reached a session that did not hold it, ${gaveUp} clients never got it, ${failed} failed`,
    orphans.length === 0
      ? "  nobody held it when all were gone"
      : `  pid ${pids} held it when all were gone; ended: ${freed.map(({ pid }) => pid).join(", ") || "none"}`,
  ];
}

function insideOf(kills: DrillReport["race"]["kills"]): number {
  return kills.filter(({ isInside }) => isInside).length;
}

function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

function seconds(ms: number): string {
  return renderDuration(Math.round(ms));
}

/** With the names that `--json` promises. */
export function toDrill(report: DrillReport): Readonly<Record<string, unknown>> {
  const { race, faults, contrast, asked } = report;
  return {
    verdict: faults.length === 0 ? "good" : "faulty",
    faults,
    route: report.route,
    pooled: report.isPooled,
    scratch: report.scratch,
    migrations: report.migrations,
    replicas: report.replicas,
    replicas_asked: asked.replicas,
    free_connections: report.free,
    killed: race.kills.length,
    killed_inside: insideOf(race.kills),
    kill_asked: asked.kill,
    duration_ms: Math.round(race.durationMs),
    recovery_ms: rounded(race.recoveryMs),
    head_after_ms: rounded(race.headAfterMs),
    contrast: contrast ? toContrast(contrast) : null,
  };
}

function rounded(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms);
}

function toContrast(contrast: Contrast): Readonly<Record<string, unknown>> {
  const toPids = (holders: Contrast["orphans"]): readonly number[] => holders.map(({ pid }) => pid);
  return {
    clients: contrast.clients,
    killed: contrast.killed,
    inside_at_once: contrast.insideAtOnce,
    lost_unlocks: contrast.lostUnlocks,
    gave_up: contrast.gaveUp,
    failed: contrast.failed,
    orphans: toPids(contrast.orphans),
    left: toPids(contrast.left),
  };
}
