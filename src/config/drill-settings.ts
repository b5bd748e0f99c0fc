/** Flags of `drill`; part of `SETTINGS`. */
import type { Setting } from "./settings.ts";

/** In the order of the help. */
export const DRILL_SETTINGS: {
  readonly [Name in "replicas" | "kill" | "drillSchema" | "contrast" | "runner"]: Setting;
} = {
  replicas: {
    flag: "replicas",
    argument: "<n>",
    variables: ["HEADGATE_REPLICAS"],
    default: "24",
    commands: ["drill"],
    help: "Runners that start at once; at most half of the free connections",
  },
  kill: {
    flag: "kill",
    argument: "<n>",
    variables: ["HEADGATE_KILL"],
    default: "5",
    commands: ["drill"],
    help: "How many of them are killed, most of them inside the gate",
  },
  drillSchema: {
    flag: "schema",
    argument: "<where>",
    variables: ["HEADGATE_SCHEMA"],
    default: "new",
    commands: ["drill"],
    help: "new: a scratch schema; existing: prefixed tables in the current one",
  },
  contrast: {
    flag: "contrast",
    variables: ["HEADGATE_CONTRAST"],
    default: "false",
    commands: ["drill"],
    help: "Then show what a session-level lock does on the same route",
  },
  runner: {
    flag: "runner",
    argument: "<scratch>",
    variables: ["HEADGATE_RUNNER"],
    commands: ["drill"],
    help: "Be one runner of that drill: how a drill starts its own runners",
  },
};
