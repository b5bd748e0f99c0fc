import { describe, expect, test } from "bun:test";
import type { World } from "../../src/flow/access.ts";
import { createWaiter, type Describe, type Meanwhile, type Waiter } from "../../src/flow/wait.ts";
import type { Fields } from "../../src/ports.ts";

interface Bench {
  readonly waiter: Waiter;
  readonly sleptMs: readonly number[];
  readonly reports: readonly Fields[];
  /** Time that passes outside of pauses. */
  pass(durationMs: number): void;
}

/** A world whose clock jumps; `random` in the middle means no jitter. */
function bench(boundMs: number, random: () => number = () => 0.5): Bench {
  let nowMs = 1_000_000;
  const sleptMs: number[] = [];
  const reports: Fields[] = [];
  const world: World = {
    clock: {
      nowMs: () => nowMs,
      sleep: async (durationMs) => {
        sleptMs.push(durationMs);
        nowMs += durationMs;
      },
      every: () => () => undefined,
    },
    log: (event, fields = {}) => {
      expect(event).toBe("gate.waiting");
      reports.push(fields);
    },
    random,
    stop: new AbortController().signal,
  };
  const pass = (durationMs: number): void => {
    nowMs += durationMs;
  };
  return { waiter: createWaiter(world, boundMs), sleptMs, reports, pass };
}

const holder: Describe = async () => ({ text: "pid 7 holds the gate", fields: { holder_pid: 7 } });

async function pauses(waiter: Waiter, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await waiter.pause(holder);
}

/** Pauses until the bound is over. @returns The error. */
async function pauseToTheEnd(waiter: Waiter): Promise<unknown> {
  try {
    await pauses(waiter, 10_000);
  } catch (error) {
    return error;
  }
  throw new Error("the wait had no end");
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

describe("createWaiter() pauses", () => {
  test("begin at 100 ms and grow by 1.4 up to 1 s", async () => {
    const { waiter, sleptMs } = bench(300_000);
    await pauses(waiter, 10);
    expect(sleptMs.map(Math.round)).toEqual([100, 140, 196, 274, 384, 538, 753, 1000, 1000, 1000]);
  });

  const jitter: readonly [random: number, first: number, last: number][] = [
    [0, 50, 500],
    [0.5, 100, 1000],
    [0.999_999, 150, 1500],
  ];
  test.each(jitter)(
    "with chance %d lie between half and one and a half of that",
    async (random, first, last) => {
      const { waiter, sleptMs } = bench(300_000, () => random);
      await pauses(waiter, 10);
      expect([Math.round(sleptMs[0] ?? 0), Math.round(sleptMs[9] ?? 0)]).toEqual([first, last]);
    },
  );

  test("are longer when the look between them was slow, so that those who work get on", async () => {
    const { waiter, sleptMs, pass } = bench(300_000);
    await pauses(waiter, 1);
    pass(30);
    await pauses(waiter, 1);
    pass(10_000);
    await pauses(waiter, 1);
    expect(sleptMs).toEqual([100, 300, 500]);
  });

  test("do not start again from the shortest after progress", async () => {
    const { waiter, sleptMs } = bench(300_000);
    await pauses(waiter, 9);
    waiter.progressed();
    await pauses(waiter, 1);
    expect(sleptMs[9]).toBe(1000);
  });
});

describe("createWaiter() bound", () => {
  test("ends the wait exactly then, naming the holder", async () => {
    const { waiter, sleptMs } = bench(60_000, () => 0.73);
    expect(await pauseToTheEnd(waiter)).toMatchObject({
      code: "gate-timeout",
      message: "Cannot pass the gate within 60000 ms: pid 7 holds the gate",
      hint: expect.stringContaining("--lock-wait"),
    });
    expect(sum(sleptMs)).toBeCloseTo(60_000, 6);
  });

  test("of 0 waits for nobody", async () => {
    const { waiter, sleptMs } = bench(0);
    expect(await pauseToTheEnd(waiter)).toMatchObject({ code: "gate-timeout" });
    expect(sleptMs).toEqual([]);
  });

  test("counts from the first pause and not from the start of the command", async () => {
    const { waiter, pass } = bench(1000);
    pass(3_600_000);
    await pauses(waiter, 1);
    pass(3_600_000);
    expect(await pauseToTheEnd(waiter)).toMatchObject({ code: "gate-timeout" });
  });

  test("starts again with progress, as often as there is some", async () => {
    const { waiter, sleptMs } = bench(2000);
    for (let i = 0; i < 20; i += 1) {
      await pauses(waiter, 1);
      waiter.progressed();
    }
    expect(sum(sleptMs)).toBeGreaterThan(10_000);
    const before = sum(sleptMs);
    expect(await pauseToTheEnd(waiter)).toMatchObject({ code: "gate-timeout" });
    expect(sum(sleptMs) - before).toBeCloseTo(2000, 6);
  });
});

describe("createWaiter() backOff()", () => {
  const blocked = { text: "pid 7 holds AccessShareLock on hot", fields: { blocker_pid: 7 } };
  async function backOffs(waiter: Waiter, count: number): Promise<readonly number[]> {
    const announcedMs: number[] = [];
    for (let i = 0; i < count; i += 1) await waiter.backOff(blocked, (ms) => announcedMs.push(ms));
    return announcedMs;
  }

  test.each([
    [0, [250, 500, 1000, 2000, 4000, 5000, 5000]],
    [0.5, [500, 1000, 2000, 4000, 8000, 10_000, 10_000]],
    [0.999_999_9, [750, 1500, 3000, 6000, 12_000, 15_000, 15_000]],
  ])("with chance %d doubles from 500 ms to 10 s, give or take half", async (random, expected) => {
    const { waiter, sleptMs } = bench(300_000, () => random);
    expect(await backOffs(waiter, 7)).toEqual(expected);
    expect(sum(sleptMs)).toBeCloseTo(sum(expected), 0);
    expect(Math.max(...sleptMs)).toBe(1000);
  });

  test("is not made shorter by pauses for others, nor they longer by it", async () => {
    const { waiter, sleptMs } = bench(300_000);
    await backOffs(waiter, 2);
    await pauses(waiter, 1);
    expect(await backOffs(waiter, 1)).toEqual([2000]);
    expect(sleptMs).toEqual([500, 1000, 100, 1000, 1000]);
  });

  test("ends with the bound that it shares with pauses, naming who is in the way", async () => {
    const { waiter, sleptMs } = bench(3000);
    await pauses(waiter, 1);
    expect(await backOffs(waiter, 3)).toEqual([500, 1000, 1400]);
    expect(sum(sleptMs)).toBe(3000);
    expect(backOffs(waiter, 1)).rejects.toMatchObject({
      code: "gate-timeout",
      message: "Cannot get a lock within 3000 ms of trying: pid 7 holds AccessShareLock on hot",
      hint: expect.stringContaining("--lock-timeout"),
    });
  });

  test("starts its bound again with progress", async () => {
    const { waiter } = bench(1000);
    await backOffs(waiter, 2);
    waiter.progressed();
    expect(await backOffs(waiter, 1)).toEqual([1000]);
  });

  /** One back-off, with what others are seen to do after each slice. @returns Its slices. */
  async function resting(
    boundMs: number,
    before: number,
    ...seen: readonly Meanwhile[]
  ): Promise<readonly number[]> {
    const { waiter, sleptMs } = bench(boundMs);
    await backOffs(waiter, before);
    const earlier = sleptMs.length;
    let at = 0;
    await waiter.backOff(
      blocked,
      () => undefined,
      async () => seen[at++] ?? "quiet",
    );
    return sleptMs.slice(earlier);
  }

  test("ends at once when another has done what there was to do", async () => {
    expect(await resting(300_000, 5, "quiet", "moved")).toEqual([1000, 1000]);
  });

  test("rests anew, and twice as long, after another's try, however long that takes", async () => {
    const slices = await resting(300_000, 0, "trying", "trying", "trying");
    expect(slices).toEqual([500, 1000, 1000, 1000]);
    const twice = await resting(300_000, 2, "trying", "quiet", "trying");
    expect(sum(twice)).toBe(1000 + 1000 + 1000 + 8000);
  });

  test("at its bound leaves it to the usual wait to name whose try takes so long", async () => {
    const trying = Array.from({ length: 9 }, (): Meanwhile => "trying");
    expect(sum(await resting(5000, 0, ...trying))).toBe(5000);
    expect(resting(3000, 1, "trying", "quiet")).rejects.toMatchObject({
      code: "gate-timeout",
    });
  });
});

describe("createWaiter() reports", () => {
  test("at once, and then with the holder every 10 s, one pause late at most", async () => {
    const { waiter, reports } = bench(120_000, () => 0.999);
    await pauseToTheEnd(waiter);
    const [first, ...others] = reports;
    expect(first).toEqual({ waited_ms: 0 });
    expect(others.length).toBeGreaterThanOrEqual(10);
    const times = reports.map(({ waited_ms }) => Number(waited_ms));
    const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
    expect(gaps.filter((gap) => gap < 10_000 || gap > 11_500)).toEqual([]);
    for (const fields of others) expect(fields["holder_pid"]).toBe(7);
  });

  test("do not ask who holds the gate more often than they tell", async () => {
    const { waiter, reports } = bench(30_000);
    let asked = 0;
    const describe: Describe = async () => {
      asked += 1;
      return holder();
    };
    for (let i = 0; i < 25; i += 1) await waiter.pause(describe);
    expect(asked).toBe(reports.length - 1);
  });

  test("count the whole wait, progress or not", async () => {
    const { waiter, reports } = bench(15_000);
    await pauses(waiter, 8);
    waiter.progressed();
    await pauses(waiter, 15);
    expect(Number(reports.at(-1)?.["waited_ms"])).toBeGreaterThanOrEqual(10_000);
  });
});

describe("createWaiter() waitedMs()", () => {
  test("is 0 before the first pause", () => {
    const { waiter, pass } = bench(1000);
    pass(5000);
    expect(waiter.waitedMs()).toBe(0);
  });

  test("counts from the first pause on", async () => {
    const { waiter, pass } = bench(10_000);
    await pauses(waiter, 2);
    pass(1000.4);
    expect(waiter.waitedMs()).toBe(1240);
  });
});
