/** Says which database was chosen, and what of its settings has no meaning here. */
import type { Targets } from "../config/connection-settings.ts";
import { describeTarget } from "../core/target.ts";
import type { Shape } from "./failure.ts";

/** A probe leaves out what it ignores: it would say so every few seconds. */
export function announceTargets(
  { log, isProbe }: Pick<Shape, "log" | "isProbe">,
  { main, direct, ignored }: Targets,
): void {
  for (const each of direct ? [main, direct] : [main]) {
    log("connection.chosen", { source: each.source, target: describeTarget(each) });
  }
  if (ignored.length > 0 && !isProbe) log("settings.ignored", { names: ignored.join(", ") });
}
