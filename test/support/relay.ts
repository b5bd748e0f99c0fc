/** Stands between a client and a server, writes down what the client asks, and goes silent when told to. */
import { connect, createServer, type Socket } from "node:net";
import type { Address } from "./postgres-admin.ts";

export interface Relay extends Address {
  /** How many connections came. */
  connections(): number;
  /** Text of every query of every connection, simple and extended, in order. */
  queries(): readonly string[];
  /**
   * From now on nothing gets through in either direction, and every socket stays open: on those
   * connections whose client has asked for something with `word` in it, and on new ones if there is none.
   * Gives how many fell silent.
   */
  silence(word?: string): number;
  /** What was held back gets through, and everything after it. */
  heal(): void;
  /** How often a client waited for an answer and got one: the round trips of all connections, login included. */
  turns(): number;
  /** What each connection's client said, byte for byte, in the order in which they came. */
  said(): readonly Buffer[];
  close(): Promise<void>;
}

/**
 * Without TLS: the client must ask with `sslmode=disable`.
 *
 * @param answerDelayMs Answers get through so often, all that are there at once: what was sent meanwhile without
 *   waiting is one round trip.
 */
export async function openRelay(target: Address, answerDelayMs = 0): Promise<Relay> {
  const sockets = new Set<Socket>();
  const lines: Line[] = [];
  let isSilent = false;
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    const line: Line = { chunks: [], both: [client, upstream], turns: 0, isAnswered: true };
    lines.push(line);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      if (isSilent) from.pause();
    }
    client.on("data", (chunk) => {
      line.isAnswered = false;
      line.chunks.push(Buffer.from(chunk));
      upstream.write(chunk);
    });
    const answers: Buffer[] = [];
    const answer = (): void => {
      if (answers.length === 0) return;
      if (!line.isAnswered) line.turns += 1;
      line.isAnswered = true;
      client.write(Buffer.concat(answers.splice(0)));
    };
    upstream.on("data", (chunk) => {
      answers.push(Buffer.from(chunk));
      if (answerDelayMs === 0) answer();
    });
    if (answerDelayMs > 0) {
      const tide = setInterval(answer, answerDelayMs);
      client.on("close", () => clearInterval(tide));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    host: "127.0.0.1",
    port,
    connections: () => lines.length,
    queries: () => lines.flatMap(asked),
    silence: (word) => {
      isSilent = word === undefined;
      const chosen = lines.filter(
        (line) => word === undefined || asked(line).some((text) => text.includes(word)),
      );
      for (const socket of chosen.flatMap(({ both }) => both)) socket.pause();
      return chosen.length;
    },
    heal: () => {
      isSilent = false;
      for (const socket of sockets) socket.resume();
    },
    turns: () => lines.reduce((sum, { turns }) => sum + turns, 0),
    said: () => lines.map(({ chunks }) => Buffer.concat(chunks)),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

interface Line {
  readonly chunks: Buffer[];
  /** The client's socket and the server's. */
  readonly both: readonly Socket[];
  turns: number;
  /** The client has got something since it last spoke. */
  isAnswered: boolean;
}

function asked({ chunks }: Line): readonly string[] {
  return queriesIn(Buffer.concat(chunks));
}

/** Protocol section "Message Formats": Query is `Q` and a text; Parse is `P`, a name and a text. */
function queriesIn(said: Buffer): readonly string[] {
  const queries: string[] = [];
  let at = said.length < 4 ? said.length : said.readUInt32BE(0); // the start-up message has no type
  while (at + 5 <= said.length) {
    const type = String.fromCharCode(said[at] ?? 0);
    const end = at + 1 + said.readUInt32BE(at + 1);
    const [first = "", second = ""] = said.toString("utf8", at + 5, end).split("\0");
    if (type === "Q") queries.push(first);
    if (type === "P") queries.push(second);
    at = end;
  }
  return queries;
}
