/** The flags of `bundle`; a part of `SETTINGS`. */
import type { Setting } from "./settings.ts";

/** In the order of the help. */
export const PACK_SETTINGS: Readonly<Record<"migrations" | "output", Setting>> = {
  migrations: {
    flag: "migrations",
    argument: "<folder>",
    variables: ["HEADGATE_MIGRATIONS"],
    commands: ["bundle"],
    help: "What the new executable carries",
  },
  output: {
    flag: "output",
    argument: "<file>",
    variables: ["HEADGATE_OUTPUT"],
    commands: ["bundle"],
    help: "The new executable (short: -o); --force replaces a file",
  },
};
