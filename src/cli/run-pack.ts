/** `bundle` and `install`: copies of this executable. They ask no database. */
import type { Settings } from "../config/settings.ts";
import { settingsError } from "../config/settings-error.ts";
import type { Head } from "../core/head.ts";
import type { Outcome } from "./run.ts";
import { toJson } from "./to-json.ts";
import { usage } from "./usage-error.ts";

/** The command line of either. */
export interface Packing {
  readonly command: "bundle" | "install";
  readonly settings: Settings;
  /** `install FOLDER`. */
  readonly folder: string | undefined;
}

/** What the real world does for them; `Start` is how this executable was started. */
export interface Packer<Start> {
  packBundle(
    start: Start,
    wish: {
      readonly migrations: string;
      readonly seeds: string | undefined;
      readonly output: string;
      readonly replaces: boolean;
    },
  ): Promise<{ readonly head: Head; readonly seeds: number }>;
  installInto(
    start: Start,
    folder: string,
  ): { readonly command: readonly string[]; readonly anywhere: readonly string[] | undefined };
}

/**
 * Runs the command and renders its report.
 *
 * @throws {HeadgateError} `usage` when headgate runs from source; else as the packer
 */
export async function runPack<Start>(
  { command, settings, folder }: Packing,
  packer: Packer<Start>,
  start: Start | undefined,
): Promise<Outcome> {
  if (start === undefined) {
    throw usage(`${command} copies an executable, and this headgate runs from source`, BUILD_FIRST);
  }
  if (command === "bundle") return { stdout: await bundle(settings, packer, start), exitStatus: 0 };
  return { stdout: install(packer.installInto(start, folder ?? ""), settings), exitStatus: 0 };
}

const BUILD_FIRST = 'Run "npm run build", then dist/headgate';

async function bundle<Start>(
  { migrations, seeds, output, force, json }: Settings,
  packer: Packer<Start>,
  start: Start,
): Promise<string> {
  if (migrations === undefined || output === undefined) {
    const missing = migrations === undefined ? "migrations" : "output";
    throw settingsError(`bundle needs --${missing}`, "headgate bundle --migrations DIR -o FILE");
  }
  const packed = await packer.packBundle(start, { migrations, seeds, output, replaces: force });
  const { version: head, size, history: fingerprint } = packed.head;
  if (json) return toJson("bundle", { output, head, size, fingerprint, seeds: packed.seeds });
  return `Wrote ${output}
bundle ${size} migrations, head ${head}, fingerprint ${fingerprint}, seed files ${packed.seeds}
`;
}

function install(
  { command, anywhere }: ReturnType<Packer<unknown>["installInto"]>,
  { json }: Settings,
): string {
  if (json) return toJson("install", { command, anywhere: anywhere ?? null });
  const other = anywhere === undefined ? "" : `in any image: ${anywhere.join(" ")} probe\n`;
  return `where this C library is: ${command.join(" ")} probe\n${other}`;
}
