/** One command from its settings to its report. Flows load lazily: a probe pays for none but its own. */
import type { CommandName, OfflineCommand } from "../config/commands.ts";
import type { Flags } from "../config/read-settings.ts";
import type { Settings } from "../config/settings.ts";
import type { Access, BundleSource, World } from "../flow/access.ts";
import { expectBundle, shortOf } from "../flow/expect-bundle.ts";
import type { RequiredSeeds } from "../flow/required-seeds.ts";
import type { Seeding } from "../flow/seeding.ts";
import type { Work } from "../flow/up-task.ts";
import type { Confirm, Spawn } from "../ports.ts";
import type { Operands } from "./operands.ts";
import { toJson } from "./to-json.ts";

/** What stdout gets, and the process's exit status. */
export interface Outcome {
  readonly stdout: string;
  readonly exitStatus: number;
}

/** A command with all that its flags and variables say; a probe has its own way, `run-probe.ts`. */
export interface Invoked extends Operands {
  readonly command: Exclude<CommandName, OfflineCommand | "probe">;
  readonly settings: Settings;
  /** Asked by commands that may write: the run as the ledger remembers it. */
  readonly identify: () => Promise<Work["run"]>;
  readonly seeds: Seeds;
  readonly confirm: Confirm;
  /** This program, to be started again. */
  readonly spawn: () => Promise<Spawn>;
  readonly flags: Flags;
}

/** What a run seeds, and what it asks to have been seeded. */
export interface Seeds {
  /** Missing: this run seeds nothing. */
  readonly seeding?: Seeding | undefined;
  /** Missing: seeds do not matter for being ready. */
  readonly required?: RequiredSeeds | undefined;
}

/**
 * Runs the flow and renders its report.
 *
 * @throws {HeadgateError} whatever the command's flow throws
 */
export async function run(
  world: World,
  access: Access,
  source: BundleSource,
  invoked: Invoked,
): Promise<Outcome> {
  expectBundle(source.head, invoked.settings.expectBundle);
  switch (invoked.command) {
    case "up":
      return runUp(world, access, source, invoked);
    case "seed":
      return runSeed(world, access, source, invoked);
    case "wait":
      return (await import("./run-wait.ts")).runWait(world, access, source, invoked);
    case "status":
      return runStatus(world, access, source, invoked);
    case "plan":
      return runPlan(world, access, source, invoked);
    case "down":
      return runDown(world, access, source, invoked);
    case "locks":
      return (await import("./run-operator.ts")).runLocks(world, access, invoked);
    case "doctor":
      return (await import("./run-operator.ts")).runDoctor(world, access, source, invoked);
    case "drill":
      return (await import("./run-drill.ts")).runDrill(world, access, invoked);
    case "resolve":
      return (await import("./run-operator.ts")).runResolve(world, access, invoked);
  }
}

type Runner = (
  world: World,
  access: Access,
  source: BundleSource,
  invoked: Invoked,
) => Promise<Outcome>;

const runUp: Runner = async (world, access, source, { settings, identify, seeds }) => {
  const { up } = await import("../flow/up.ts");
  const request = {
    policy: settings.policy,
    to: settings.to,
    isVerifyOnly: settings.skipMigrations === "verify",
    isAtomic: settings.atomic,
    cancelsOrphans: settings.cancelOrphanedBuild,
    lockWaitMs: settings.lockWait,
    lockTimeoutMs: settings.lockTimeout,
    lockId: settings.lockId,
    reclaimAfterMs: settings.reclaimOrphans,
  };
  const report = await up(world, access, source, {
    request,
    run: await identify(),
    seeding: seeds.seeding,
  });
  world.log("database.ready", {
    path: report.path,
    head: report.head,
    bundle: shortOf(source.head),
    applied: report.applied.length,
    waited_ms: report.waitedMs,
  });
  const { renderUp } = await import("./render.ts");
  const { toApplied } = await import("./report-json.ts");
  const { path, head, applied, waitedMs } = report;
  const { toSeeds } = await import("./render-seed.ts");
  const seeded = report.seeds && toSeeds(report.seeds);
  const json = { path, head, applied: applied.map(toApplied), waited_ms: waitedMs, seeds: seeded };
  return { stdout: settings.json ? toJson("up", json) : renderUp(report), exitStatus: 0 };
};

const runSeed: Runner = async (world, access, source, { settings, identify, seeds }) => {
  const { seeding } = seeds;
  if (!seeding) throw new TypeError("seed always seeds");
  const { seed, seedTables } = await import("../flow/seed-command.ts");
  const { lockWait: lockWaitMs, lockId, reclaimOrphans: reclaimAfterMs } = settings;
  const wish = { seeding, request: { run: await identify(), lockWaitMs, lockId, reclaimAfterMs } };
  const report = settings.noLedger
    ? await seedTables(world, access, wish)
    : await seed(world, access, source, wish);
  const { renderSeed, toSeeds } = await import("./render-seed.ts");
  return {
    stdout: settings.json ? toJson("seed", toSeeds(report)) : renderSeed(report),
    exitStatus: 0,
  };
};

const runStatus: Runner = async (world, access, source, { settings, seeds }) => {
  const { status } = await import("../flow/status.ts");
  const wish = { policy: settings.policy, seeds: seeds.required };
  const report = await status(world, access, await source.load(), wish);
  const { describeState, renderStatus } = await import("./render.ts");
  const { toStatus } = await import("./report-json.ts");
  const { exitStatusOfStatus } = await import("./exit-status.ts");
  return {
    stdout: settings.json
      ? toJson("status", toStatus(report, describeState))
      : renderStatus(report),
    exitStatus: settings.exitCode ? exitStatusOfStatus(report) : 0,
  };
};

const runPlan: Runner = async (world, access, source, { settings, seeds }) => {
  const { plan } = await import("../flow/plan.ts");
  const wish = { policy: settings.policy, to: settings.to, seeding: seeds.seeding };
  const report = await plan(world, access, await source.load(), wish);
  const { renderPlan } = await import("./render.ts");
  const preview = report.seeds && { ...report.seeds, skipped: report.seeds.skipped ?? null };
  const pending = report.pending.map(({ version, name, checksum, up }) => ({
    version,
    name,
    checksum,
    sql: up.sql,
  }));
  const json = { waits: report.waits, pending, seeds: preview };
  return { stdout: settings.json ? toJson("plan", json) : renderPlan(report), exitStatus: 0 };
};

const runDown: Runner = async (world, access, source, { settings, identify, count }) => {
  const { down } = await import("../flow/down.ts");
  const { lockWait: lockWaitMs, lockTimeout: lockTimeoutMs, lockId } = settings;
  const reclaimAfterMs = settings.reclaimOrphans;
  const request = { count, lockWaitMs, lockTimeoutMs, lockId, reclaimAfterMs };
  const report = await down(world, access, await source.load(), { request, run: await identify() });
  const { renderDown } = await import("./render.ts");
  const { toApplied } = await import("./report-json.ts");
  const json = { reverted: report.reverted.map(toApplied), at: report.at ?? null };
  return { stdout: settings.json ? toJson("down", json) : renderDown(report), exitStatus: 0 };
};

/** `--skip-migrations yield`: somebody else's business, and one line that says so. */
export function yieldMigrations(log: World["log"], settings: Settings): Outcome {
  log("migrations.yielded");
  return { stdout: settings.json ? toJson("up", { path: "yielded" }) : "", exitStatus: 0 };
}
