/** What headgate can be asked to do. */

/** The commands, by their own names; `ALIASES` has the others. */
export type CommandName =
  | "up"
  | "probe"
  | "wait"
  | "seed"
  | "status"
  | "plan"
  | "down"
  | "locks"
  | "resolve"
  | "doctor"
  | "manifest"
  | "drill"
  | "bundle"
  | "install"
  | "version";

/** Those that work on files alone. */
export type OfflineCommand = "manifest" | "bundle" | "install" | "version";

/** In the order of the help. */
export const COMMANDS: Readonly<Record<CommandName, string>> = {
  up: "Bring the schema to head, exactly once, and seed it (alias: migrate)",
  probe: "Exit 0 if the schema is at head, else 1; only reads (alias: check)",
  wait: "Wait until probe would exit 0; only reads",
  seed: "Seed the gateway's RBAC rows, and the files of --seeds",
  status: "Every migration with its state; only reads",
  plan: "What up would do, as SQL; only reads",
  down: "Revert the last N migrations (default 1), newest first",
  locks: "Who holds or waits for the gate; release PID ends an idle holder",
  resolve: "Settle an interrupted ledger row: --applied or --rolled-back",
  doctor: "What is wrong or will hurt: pooler, settings, privileges, indexes",
  manifest: "Print wiring: kubernetes, kustomize, helm or compose",
  drill: "Race and kill runners in a scratch schema: does the gate hold here?",
  bundle: "Write an executable that carries your own migrations",
  install: "Copy this executable, and what it needs to run anywhere, into FOLDER",
  version: "Version, commit and bundle fingerprint",
};

const OFFLINE: readonly OfflineCommand[] = ["manifest", "bundle", "install", "version"];

/** Whether the command asks a database. */
export function needsDatabase(
  command: CommandName,
): command is Exclude<CommandName, OfflineCommand> {
  return !(OFFLINE as readonly CommandName[]).includes(command);
}

/** Other names of commands. */
export const ALIASES: Readonly<Record<string, CommandName>> = { migrate: "up", check: "probe" };

// Lists as they stand and not worked out of one another: every probe would do that again.

/** Those that read or write a ledger that is there to stay. */
export const LEDGERED: readonly CommandName[] = [
  "up",
  "probe",
  "wait",
  "seed",
  "status",
  "plan",
  "down",
  "locks",
  "resolve",
  "doctor",
];
/** Those that ask a database; a drill brings its own ledger. */
export const ASKING: readonly CommandName[] = [...LEDGERED, "drill"];
/** All of them. */
export const ALL: readonly CommandName[] = [...ASKING, ...OFFLINE];
/** Those that know what would be, or has been, seeded. */
export const OF_SEEDS: readonly CommandName[] = ["up", "seed", "plan", "probe", "wait", "status"];
/** Those that pass the gate. */
export const GATED: readonly CommandName[] = ["up", "seed", "down", "resolve"];
/** Those that have to do with the gate, inside it or beside it. */
export const NEAR_GATE: readonly CommandName[] = [...GATED, "locks"];
/** Those that may go past a pooler. */
export const WITH_DIRECT: readonly CommandName[] = [...NEAR_GATE, "doctor", "drill"];
