/** Stands between a client and a server and writes down what the client asks: the wire's own witness. */
import { connect, createServer, type Socket } from "node:net";
import type { Address } from "./postgres-admin.ts";

export interface Relay extends Address {
  /** How many connections came. */
  connections(): number;
  /** Text of every query of every connection, simple and extended, in order. */
  queries(): readonly string[];
  /** What each connection's client said, byte for byte, in the order in which they came. */
  said(): readonly Buffer[];
  close(): Promise<void>;
}

/** Without TLS: the client must ask with `sslmode=disable`. */
export async function openRelay(target: Address): Promise<Relay> {
  const sockets = new Set<Socket>();
  const heard: Buffer[][] = [];
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    const chunks: Buffer[] = [];
    heard.push(chunks);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.pipe(to);
    }
    client.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    host: "127.0.0.1",
    port,
    connections: () => heard.length,
    queries: () => heard.flatMap((chunks) => queriesIn(Buffer.concat(chunks))),
    said: () => heard.map((chunks) => Buffer.concat(chunks)),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
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
