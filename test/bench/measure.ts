/** Runs commands by turns, so that whatever else the machine does meets all of them alike. */

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

/**
 * Every contender once per round, in turn.
 *
 * @throws {Error} when one of them does not exit with 0: a fast failure must not win.
 */
export async function measure(
  contenders: readonly Contender[],
  rounds: number,
): Promise<ReadonlyMap<string, readonly Sample[]>> {
  const samples = new Map(contenders.map(({ name }) => [name, [] as Sample[]]));
  for (let round = -1; round < rounds; round += 1) {
    for (const contender of contenders) {
      await contender.prepare?.();
      const sample = await runOnce(contender);
      // The first round warms the page cache.
      if (round >= 0) samples.get(contender.name)?.push(sample);
    }
  }
  return samples;
}

/** All at once; the time until the last one is done, and what they used together. */
export async function storm(contender: Contender, count: number): Promise<Sample> {
  const startMs = performance.now();
  const each = await Promise.all(Array.from({ length: count }, () => runOnce(contender)));
  return {
    wallMs: performance.now() - startMs,
    cpuMs: each.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
  };
}

async function runOnce({ name, argv, env }: Contender): Promise<Sample> {
  const startMs = performance.now();
  const child = Bun.spawn([...argv], {
    env: { PATH: process.env["PATH"], ...env },
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const stderr = await new Response(child.stderr).text();
  const status = await child.exited;
  const wallMs = performance.now() - startMs;
  if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr.slice(0, 500)}`);
  const { user, system } = child.resourceUsage()?.cpuTime ?? { user: 0n, system: 0n };
  return { wallMs, cpuMs: Number(user + system) / 1000 };
}

/** The middle of round-by-round ratios: a slow minute changes both of a round. */
export function ratio(
  samples: ReadonlyMap<string, readonly Sample[]>,
  of: string,
  to: string,
  figure: keyof Sample,
): number {
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
