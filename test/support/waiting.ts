/** A `headgate wait` whose reasons are read while it waits. */
import { BINARY, type Event, type RunOptions } from "./headgate.ts";

export interface Waiting {
  /** Resolves with the first line whose reason matches; rejects when the process ends without it. */
  says(reason: RegExp): Promise<Event>;
  kill(signal: NodeJS.Signals): void;
  readonly done: Promise<{
    readonly status: number;
    readonly stdout: string;
    readonly events: readonly Event[];
  }>;
}

export function startWaiting(args: readonly string[], options: RunOptions): Waiting {
  const child = Bun.spawn([options.binary ?? BINARY, "wait", ...args], {
    env: { HEADGATE_LOG_FORMAT: "json", ...options.env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const events: Event[] = [];
  let arrived = Promise.withResolvers<void>();
  let hasEnded = false;
  const read = async (): Promise<void> => {
    let rest = "";
    for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
      const lines = `${rest}${chunk}`.split("\n");
      rest = lines.pop() ?? "";
      events.push(...lines.map((line) => JSON.parse(line) as Event));
      arrived.resolve();
      arrived = Promise.withResolvers();
    }
    hasEnded = true;
    arrived.resolve();
  };
  const collect = async () => {
    const [stdout] = await Promise.all([new Response(child.stdout).text(), read()]);
    await child.exited;
    return { status: child.exitCode ?? -1, stdout, events };
  };
  const done = collect();
  return {
    says: async (reason) => {
      for (;;) {
        const found = events.find((event) => reason.test(`${event["msg"]}: ${event["reason"]}`));
        if (found) return found;
        if (hasEnded) throw new Error(`no ${reason} among ${JSON.stringify(events)}`);
        await arrived.promise;
      }
    },
    kill: (signal) => child.kill(signal),
    done,
  };
}
