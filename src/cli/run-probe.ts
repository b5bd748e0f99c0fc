/** `probe`, from its settings to its report. */
import type { ProbeSettings } from "../config/probe-settings.ts";
import type { Head } from "../core/head.ts";
import type { Access, World } from "../flow/access.ts";
import { expectBundle, shortOf } from "../flow/expect-bundle.ts";
import { probe } from "../flow/probe.ts";
import type { RequiredSeeds } from "../flow/required-seeds.ts";
import type { Outcome } from "./run.ts";
import { toJson } from "./to-json.ts";

/** What counts as ready, and how to say it. */
export interface ProbeAsked {
  readonly settings: Pick<ProbeSettings, "expectBundle" | "policy" | "json">;
  readonly seeds?: RequiredSeeds | undefined;
}

/** Ready: one line on stdout. Not ready: one event, or the object of `--json` in the place of either. */
export async function runProbe(
  world: World,
  access: Access,
  bundleHead: Head,
  { settings, seeds }: ProbeAsked,
): Promise<Outcome> {
  expectBundle(bundleHead, settings.expectBundle);
  const wish = { policy: settings.policy, seeds };
  const { isReady, state, head, reason } = await probe(world, access, bundleHead, wish);
  const exitStatus = isReady ? 0 : 1;
  const bundle = shortOf(bundleHead);
  if (settings.json) {
    return { stdout: toJson("probe", { ready: isReady, state, head, bundle, reason }), exitStatus };
  }
  if (isReady) return { stdout: `${reason}\n`, exitStatus };
  world.log("probe.not-ready", { state, head, bundle, reason });
  return { stdout: "", exitStatus };
}
