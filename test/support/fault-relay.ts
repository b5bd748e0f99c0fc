/** Stands between a client and a server, and goes silent, breaks off, or keeps an answer back. */
import { connect, createServer, type Socket } from "node:net";
import type { Address } from "./postgres-admin.ts";

export interface FaultRelay extends Address {
  /** True once the client has said the word and the answer is being kept back. */
  hasHeld(): boolean;
  /** The answers that were kept back go out. */
  letGo(): void;
  /** From now on nothing passes on the connections that are open, and nobody is told. */
  silence(): void;
  /** Ends the connections that are open, at both ends, as a firewall does: by RST. */
  reset(): void;
  close(): Promise<void>;
}

interface Line {
  readonly client: Socket;
  readonly upstream: Socket;
  isSilent: boolean;
  /** Answers that are kept back; undefined: none are. */
  held: Buffer[] | undefined;
}

/**
 * Without TLS. Later connections are whole.
 *
 * @param word The answer to the `nth` message of a client that holds this text is kept back.
 */
export async function openFaultRelay(
  target: Address,
  word?: { readonly text: string; readonly nth: number },
): Promise<FaultRelay> {
  const lines = new Set<Line>();
  let said = 0;
  let hasHeld = false;
  // Several messages may come in one piece: then all their answers are kept back.
  const listen = (line: Line, chunk: Buffer): void => {
    if (word === undefined || hasHeld) return;
    said += chunk.toString("latin1").split(word.text).length - 1;
    if (said < word.nth) return;
    line.held = [];
    hasHeld = true;
  };
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    const line: Line = { client, upstream, isSilent: false, held: undefined };
    lines.add(line);
    client.on("data", (chunk: Buffer) => {
      if (line.isSilent) return;
      listen(line, chunk);
      upstream.write(chunk);
    });
    upstream.on("data", (chunk: Buffer) => {
      if (line.isSilent) return;
      if (line.held) line.held.push(chunk);
      else client.write(chunk);
    });
    endTogether(line);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    host: "127.0.0.1",
    port,
    hasHeld: () => hasHeld,
    letGo: () => lines.forEach(letGo),
    silence: () => lines.forEach(silence),
    reset: () => lines.forEach(reset),
    close: () => {
      lines.forEach(destroy);
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** An end of one side reaches the other, unless the line is silent. */
function endTogether(line: Line): void {
  const { client, upstream } = line;
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.on("error", () => undefined);
    from.on("close", () => {
      if (!line.isSilent) to.destroy();
    });
  }
}

function letGo(line: Line): void {
  const held = line.held ?? [];
  line.held = undefined;
  for (const chunk of held) line.client.write(chunk);
}

function silence(line: Line): void {
  line.isSilent = true;
}

function reset({ client, upstream }: Line): void {
  client.resetAndDestroy();
  upstream.resetAndDestroy();
}

function destroy({ client, upstream }: Line): void {
  client.destroy();
  upstream.destroy();
}
