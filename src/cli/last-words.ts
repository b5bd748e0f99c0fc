/** Where the reason of a failure is left for whoever looks at the pod. */
import type { CommandName } from "../config/commands.ts";
import { type Env, envValue } from "../config/libpq-env.ts";
import { SETTINGS } from "../config/settings.ts";

/** Where the last words go; undefined: the command leaves none. */
export function terminationLogOf(
  { command, settings }: Ending,
  argv: readonly string[],
  env: Env,
): { readonly file: string | undefined } | undefined {
  if (command === undefined || !SETTINGS.terminationLog.commands.includes(command))
    return undefined;
  return { file: settings ? settings.terminationLog : namedTerminationLog(argv, env) };
}

interface Ending {
  readonly command: CommandName | undefined;
  /** Undefined: they could not be read. */
  readonly settings: { readonly terminationLog?: string | undefined } | undefined;
}

/** When the settings could not be read: as near as argv and environment tell. */
export function namedTerminationLog(argv: readonly string[], env: Env): string | undefined {
  const { flag, variables } = SETTINGS.terminationLog;
  const at = argv.findIndex((word) => word === `--${flag}` || word.startsWith(`--${flag}=`));
  const given = argv[at]?.split("=").slice(1).join("=") || argv[at + 1];
  if (at >= 0 && given !== undefined && !given.startsWith("-")) return given;
  return variables.map((name) => envValue(env, name)).find((value) => value !== undefined);
}
