/** This program, started again: the same executable, or the same source on the same runtime. */
import { spawn } from "node:child_process";
import type { Child, ChildEnd, Spawn } from "../ports.ts";
import type { Start } from "./cargo.ts";
import { ownCommand } from "./executable.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Who runs: `process` has it. */
export interface Self extends Start {
  readonly argv: readonly string[];
}

/** Modules of a compiled executable are in a file system of its own. */
const COMPILED = /\$bunfs|~BUN/;

/**
 * The environment is handed over whole: addresses and passwords take the way on which they came, and
 * no argument holds one. A child writes its events as JSON, whatever this process was told to do.
 */
export function createSpawn(self: Self, env: Env): Spawn {
  const [program, ...before] = isCompiled() ? ownCommand(self) : sourceCommand(self);
  const ours = { ...env, HEADGATE_LOG_FORMAT: "json", HEADGATE_LOG_LEVEL: "info" };
  return (args, onLine) => start(program, [...before, ...args], ours, onLine);
}

function isCompiled(): boolean {
  return COMPILED.test(import.meta.url);
}

function sourceCommand({ execPath, argv }: Self): ReturnType<typeof ownCommand> {
  const script = argv[1] ?? "";
  return "Deno" in globalThis ? [execPath, "run", "--allow-all", script] : [execPath, script];
}

function start(
  command: string,
  args: readonly string[],
  env: Env,
  onLine: (line: string) => void,
): Child {
  const child = spawn(command, args, { env: { ...env }, stdio: ["ignore", "ignore", "pipe"] });
  let rest = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
  const ended = new Promise<ChildEnd>((resolve) => {
    child.once("error", ({ message }) => resolve({ status: undefined, problem: message }));
    child.once("close", (status) => resolve({ status: status ?? undefined, problem: undefined }));
  });
  return { pid: child.pid, kill: () => void child.kill("SIGKILL"), ended };
}
