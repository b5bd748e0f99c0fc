/** Runs commands by turns, so that whatever else the machine does meets all of them alike. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";

/** A command that is measured. */
export interface Contender {
  readonly name: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Before every run, not measured. */
  readonly prepare?: () => Promise<void>;
}

/** One run of a whole process. */
export interface Sample {
  readonly wallMs: number;
  /** User and system, of the process and what it waited for. */
  readonly cpuMs: number;
}

export type Samples = ReadonlyMap<string, readonly Sample[]>;

/** What many at once used together. */
export interface Storm extends Sample {
  /** The errors of those that did not exit with 0. */
  readonly failures: readonly string[];
}

/** Nothing that is measured takes half as long. */
const RUN_TIMEOUT_MS = 120_000;

interface Run extends Sample {
  /** Undefined: it exited with 0. */
  readonly failure: string | undefined;
}

/**
 * Every contender once per round, in turn. Rounds before the first warm what is cached.
 *
 * @throws {Error} when one of them does not exit with 0: a fast failure must not win.
 */
export async function measure(
  contenders: readonly Contender[],
  rounds: number,
  warmUps = 1,
): Promise<Samples> {
  const samples = new Map(contenders.map(({ name }) => [name, [] as Sample[]]));
  for (let round = -warmUps; round < rounds; round += 1) {
    for (const contender of contenders) {
      await contender.prepare?.();
      const { failure, wallMs, cpuMs } = await runOnce(contender);
      if (failure !== undefined) throw new Error(failure);
      if (round >= 0) samples.get(contender.name)?.push({ wallMs, cpuMs });
    }
  }
  return samples;
}

/** All at once; the time until the last one is done. */
export async function storm(contender: Contender, count: number): Promise<Storm> {
  const startMs = performance.now();
  const runs = await Promise.all(Array.from({ length: count }, () => runOnce(contender)));
  return {
    wallMs: performance.now() - startMs,
    cpuMs: runs.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    failures: runs.flatMap(({ failure }) => (failure === undefined ? [] : [failure])),
  };
}

async function runOnce(contender: Contender): Promise<Run> {
  const startMs = performance.now();
  const child = start(contender);
  const stderr = await new Response(child.stderr).text();
  const status = await child.exited;
  const wallMs = performance.now() - startMs;
  const { user, system } = child.resourceUsage()?.cpuTime ?? { user: 0n, system: 0n };
  const failure = `${contender.name} ended with ${status}: ${stderr.slice(0, 500)}`;
  const cpuMs = Number(user + system) / 1000;
  return { wallMs, cpuMs, failure: status === 0 ? undefined : failure };
}

function start({ argv, env }: Contender): Bun.Subprocess<"ignore", "ignore", "pipe"> {
  return Bun.spawn([...argv], {
    env: { PATH: process.env["PATH"], ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
    timeout: RUN_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
}

/**
 * Memory at its end that no file backs, in KiB: the kernel's last word before the process was gone. Linux only.
 *
 * @throws {Error} when it does not exit with 0.
 */
export async function anonymousKib(contender: Contender): Promise<number> {
  const child = start(contender);
  const last = lastAnonymousKib(child.pid);
  const [stderr, status] = await Promise.all([new Response(child.stderr).text(), child.exited]);
  if (status !== 0) throw new Error(`${contender.name} ended with ${status}: ${stderr}`);
  return last;
}

/** Nothing else happens in this process meanwhile, and its own child stays a zombie until then. */
function lastAnonymousKib(pid: number): number {
  let last = 0;
  const endMs = performance.now() + RUN_TIMEOUT_MS;
  while (performance.now() < endMs) {
    try {
      const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      const kib = Number(/^Anonymous:\s+(\d+)/m.exec(text)?.[1] ?? 0);
      if (kib === 0) return last;
      last = kib;
    } catch {
      return last;
    }
  }
  return last;
}

/**
 * Takes files out of the page cache. What runs next reads in what it needs and no more, as on a node that has
 * just pulled an image; a file that was just written, or read from end to end, makes its program a quarter faster.
 */
export function forgetPages(files: readonly string[]): void {
  spawnSync("sync");
  for (const file of files) {
    spawnSync("dd", [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"]);
  }
}

/** The middle of round-by-round ratios: a slow minute changes both of a round. */
export function ratio(samples: Samples, of: string, to: string, figure: keyof Sample): number {
  const below = samples.get(to) ?? [];
  return median(
    (samples.get(of) ?? []).map((sample, i) => sample[figure] / (below[i]?.[figure] ?? Number.NaN)),
  );
}

/** NaN when there is nothing. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}
