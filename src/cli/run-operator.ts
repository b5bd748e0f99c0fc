/** The commands that a person uses when something is in the way, from their settings to their report. */
import type { Settings } from "../config/settings.ts";
import type { Settlement } from "../core/resolve.ts";
import type { Access, BundleSource, World } from "../flow/access.ts";
import type { Invoked, Outcome } from "./run.ts";
import { toJson } from "./to-json.ts";
import { usage } from "./usage-error.ts";

/** `locks` and `locks release PID`. @throws {HeadgateError} whatever the flow throws */
export async function runLocks(world: World, access: Access, invoked: Invoked): Promise<Outcome> {
  const { settings, target } = invoked;
  if (target !== undefined) return runRelease(world, access, invoked, target);
  const { locks } = await import("../flow/locks.ts");
  const report = await locks(world, access, settings.lockId);
  const { renderLocks, toLocks } = await import("./render-locks.ts");
  return {
    stdout: settings.json ? toJson("locks", toLocks(report)) : renderLocks(report),
    exitStatus: 0,
  };
}

async function runRelease(
  world: World,
  access: Access,
  { settings, confirm }: Invoked,
  pid: number,
): Promise<Outcome> {
  const { releaseLock } = await import("../flow/release-lock.ts");
  const wish = {
    pid,
    lockId: settings.lockId,
    sampleMs: settings.sample,
    isConfirmed: settings.yes,
    isForced: settings.force,
  };
  const lock = await releaseLock(world, access, wish, confirm);
  const { renderReleased, toLock } = await import("./render-locks.ts");
  const json = { released: toLock(lock) };
  return {
    stdout: settings.json ? toJson("locks", json) : renderReleased(lock),
    exitStatus: 0,
  };
}

/** `resolve VERSION`. @throws {HeadgateError} `usage` unless it is told one settlement */
export async function runResolve(world: World, access: Access, invoked: Invoked): Promise<Outcome> {
  const { settings, target: version, identify } = invoked;
  if (version === undefined) throw new TypeError("resolve always has a version");
  const settlement = settlementOf(settings);
  const { resolve } = await import("../flow/resolve.ts");
  const { id: runId } = await identify();
  const { lockWait: lockWaitMs, lockId: foreignKey, reclaimOrphans: reclaimAfterMs } = settings;
  const wish = { lockWaitMs, foreignKey, reclaimAfterMs, runId };
  const { name, was } = await resolve(world, access, wish, { version, settlement });
  const end = settlement === "applied" ? "is marked applied" : "is deleted";
  return {
    stdout: settings.json
      ? toJson("resolve", { version, name, was, settlement })
      : `Resolved: the ${was} row of ${version} ${name} ${end}\n`,
    exitStatus: 0,
  };
}

/** What an error among the findings makes of the exit status. */
const UNWELL = 4;

/** `doctor`. @throws {HeadgateError} `unreachable` when nobody answers at all */
export async function runDoctor(
  world: World,
  access: Access,
  source: BundleSource,
  { settings, identify }: Invoked,
): Promise<Outcome> {
  const { id: token } = await identify();
  const { doctor } = await import("../flow/doctor.ts");
  const { findings } = await doctor(world, access, source, { wallMs: Date.now, token });
  const { countOf, renderDoctor, toDoctor } = await import("./render-doctor.ts");
  return {
    stdout: settings.json ? toJson("doctor", toDoctor(findings)) : renderDoctor(findings),
    exitStatus: countOf(findings, "error") > 0 ? UNWELL : 0,
  };
}

function settlementOf({ applied, rolledBack }: Settings): Settlement {
  if (applied !== rolledBack) return applied ? "applied" : "rolled-back";
  throw usage(
    `resolve needs ${applied ? "only one" : "one"} of --applied and --rolled-back`,
    "--applied: the migration's work is done. --rolled-back: nothing of it is left",
  );
}
