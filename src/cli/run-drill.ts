/** `drill`, and each of its runners, from their settings to their report. */
import type { Flags } from "../config/read-settings.ts";
import { SETTINGS, type SettingName } from "../config/settings.ts";
import { tokenOf } from "../core/drill-scratch.ts";
import type { Access, World } from "../flow/access.ts";
import type { Invoked, Outcome } from "./run.ts";
import { toJson } from "./to-json.ts";
import { usage } from "./usage-error.ts";

/** What a fault makes of the exit status. */
const FAULTY = 4;
/** Flags that say where the database is. A runner has them as its drill had them; none is a secret. */
const ROUTE_FLAGS: readonly SettingName[] = [
  "databaseUrlFile",
  "direct",
  "connectTimeout",
  "allowCleartext",
];

/** Runs the drill; with `--runner`, is one of its runners. @throws {HeadgateError} `usage`, and the flow's */
export async function runDrill(world: World, access: Access, invoked: Invoked): Promise<Outcome> {
  const { settings, flags, identify, spawn } = invoked;
  const run = await identify();
  if (settings.runner) {
    const { drillRunner } = await import("../flow/drill-runner.ts");
    await drillRunner(world, access, settings.runner, run);
    return { stdout: "", exitStatus: 0 };
  }
  const { replicas, kill, contrast: contrasts } = settings;
  if (kill >= replicas) {
    throw usage("--kill must be below --replicas", "Somebody has to be left to reach head");
  }
  const start = await spawn();
  const { drill } = await import("../flow/drill.ts");
  const report = await drill(world, access, {
    replicas,
    kill,
    contrasts,
    ownsSchema: settings.drillSchema === "new",
    token: tokenOf(run.id),
    launch: (ledger, onLine) => start(runnerArguments(flags, ledger), onLine),
  });
  const { renderDrill, toDrill } = await import("./render-drill.ts");
  return {
    stdout: settings.json ? toJson("drill", toDrill(report)) : renderDrill(report),
    exitStatus: report.faults.length === 0 ? 0 : FAULTY,
  };
}

function runnerArguments(flags: Flags, ledger: string): readonly string[] {
  const given = ROUTE_FLAGS.flatMap((name) => {
    const text = flags[name];
    return text === undefined ? [] : [`--${SETTINGS[name].flag}=${text}`];
  });
  return ["drill", ...given, `--${SETTINGS.runner.flag}=${ledger}`];
}
