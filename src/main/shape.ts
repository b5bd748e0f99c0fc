/** What is known of this program and of its run. */
import type { Shape as FailureShape } from "../cli/failure.ts";
import type { CommandName } from "../config/commands.ts";
import type { Env } from "../config/libpq-env.ts";
import type { Settings } from "../config/settings.ts";
import type { Self } from "../runtime/spawn.ts";
import type { Stop } from "../runtime/stop.ts";

/** As `process` has it. */
export interface Program extends Self {
  readonly env: Env;
  readonly pid: number;
  readonly versions: Readonly<Record<string, string | undefined>>;
  on(signal: "SIGINT" | "SIGTERM", call: () => void): unknown;
}

/** Of the run; filled in as it becomes known. */
export interface Shape extends FailureShape {
  readonly stop: Stop;
  command: CommandName | undefined;
  settings: Partial<Pick<Settings, "terminationLog">> | undefined;
}
