/** `wait`, from its settings to its report. */
import type { Access, BundleSource, World } from "../flow/access.ts";
import { shortOf } from "../flow/expect-bundle.ts";
import { stay, waitForHead } from "../flow/wait-command.ts";
import type { Invoked, Outcome } from "./run.ts";
import { toJson } from "./to-json.ts";

/** Ends when the schema is ready; with `--stay`, by a signal after that. */
export async function runWait(
  world: World,
  access: Access,
  source: BundleSource,
  { settings, seeds }: Invoked,
): Promise<Outcome> {
  const { policy, deadline: deadlineMs, json } = settings;
  const wish = { policy, seeds: seeds.required, deadlineMs };
  const { state, head, reason, waitedMs } = await waitForHead(world, access, source.head, wish);
  world.log("database.ready", { head, bundle: shortOf(source.head), waited_ms: waitedMs });
  if (settings.stay) await stay(world);
  const fields = {
    ready: true,
    state,
    head,
    bundle: shortOf(source.head),
    reason,
    waited_ms: waitedMs,
  };
  return { stdout: json ? toJson("wait", fields) : `${reason}\n`, exitStatus: 0 };
}
