/** Runs the compiled binary as a subprocess, as an init container or an operator would. */
import { existsSync } from "node:fs";
import { join } from "node:path";

export const BINARY: string =
  process.env["HEADGATE_BINARY"] ?? join(import.meta.dirname, "../../dist/headgate");

export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  /** stderr's NDJSON lines, parsed. */
  readonly events: readonly Event[];
  readonly wallMs: number;
}

export type Event = Readonly<Record<string, unknown>> & { readonly event: string };

export interface RunOptions {
  /** The whole environment: nothing of the test's own gets in. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Another binary than the default one. */
  readonly binary?: string;
}

export interface Started {
  readonly pid: number;
  kill(signal: NodeJS.Signals): void;
  readonly done: Promise<Run>;
}

/** Starts without waiting for the end. */
export function start(args: readonly string[], options: RunOptions = {}): Started {
  const binary = options.binary ?? BINARY;
  if (!existsSync(binary)) throw new Error(`${binary} is missing: bun run build`);
  const startMs = performance.now();
  const child = Bun.spawn([binary, ...args], {
    // A probe's default budget is for one that runs alone: a busy test machine must not decide.
    env: { HEADGATE_LOG_FORMAT: "json", HEADGATE_TIMEOUT: "10s", ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const collect = async (): Promise<Run> => {
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    await child.exited;
    const status = child.exitCode ?? -1;
    return {
      status,
      stdout,
      stderr,
      events: parseEvents(stderr),
      wallMs: performance.now() - startMs,
    };
  };
  return { pid: child.pid, kill: (signal) => child.kill(signal), done: collect() };
}

/** Runs to the end. */
export function headgate(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  return start(args, options).done;
}

export function withUrl(url: string, env: Readonly<Record<string, string>> = {}): RunOptions {
  return { env: { DATABASE_URL: url, ...env } };
}

export function eventOf(run: Run, name: string): Event | undefined {
  return run.events.find(({ event }) => event === name);
}

function parseEvents(stderr: string): readonly Event[] {
  return stderr.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    try {
      return [JSON.parse(line) as Event];
    } catch {
      return [];
    }
  });
}
