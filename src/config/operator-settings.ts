/** Flags of the commands that a person uses when something is in the way; part of `SETTINGS`. */
import type { Setting } from "./settings.ts";

/** In the order of the help. */
export const OPERATOR_SETTINGS: {
  readonly [Name in "applied" | "rolledBack" | "yes" | "force" | "sample"]: Setting;
} = {
  applied: {
    flag: "applied",
    variables: ["HEADGATE_APPLIED"],
    default: "false",
    commands: ["resolve"],
    help: "The migration's work is done: mark its row applied",
  },
  rolledBack: {
    flag: "rolled-back",
    variables: ["HEADGATE_ROLLED_BACK"],
    default: "false",
    commands: ["resolve"],
    help: "Nothing of the migration is left: delete its row",
  },
  yes: {
    flag: "yes",
    variables: ["HEADGATE_YES"],
    default: "false",
    commands: ["locks"],
    help: "release: do not ask; needed without a terminal",
  },
  force: {
    flag: "force",
    variables: ["HEADGATE_FORCE"],
    default: "false",
    commands: ["locks", "bundle"],
    help: "release: end the holder although it lives; bundle: replace a file",
  },
  sample: {
    flag: "sample",
    argument: "<duration>",
    variables: ["HEADGATE_SAMPLE"],
    default: "10s",
    commands: ["locks"],
    help: "release: how long the holder must have been seen doing nothing",
  },
};
