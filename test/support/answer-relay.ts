/** Stands between a client and a real server, and changes what the server says. */
import { connect, createServer, type Socket } from "node:net";
import type { Address } from "./postgres-admin.ts";
import { mutate } from "./two-clients.ts";

/** Gets each piece of what the server says, and how many bytes came before it on this connection. */
export type Change = (client: Socket, bytes: Buffer, before: number) => void;

export interface AnswerRelay extends Address {
  close(): Promise<void>;
}

/** @param change Hands on what it likes to the client. Without TLS. */
export async function openAnswerRelay(target: Address, change: Change): Promise<AnswerRelay> {
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: target.host, port: target.port, noDelay: true });
    let before = 0;
    client.on("data", (chunk) => void upstream.write(chunk));
    upstream.on("data", (chunk) => {
      const bytes = Buffer.from(chunk);
      if (!client.writableEnded) change(client, bytes, before);
      before += bytes.length;
    });
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.end();
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    host: "127.0.0.1",
    port,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Damages one of the first five pieces that the server says; a login and an answer have about four. */
export function damageOne(next: () => number): Change {
  let pieces = Math.floor(next() * 5);
  return (client, bytes) => {
    client.write(pieces === 0 ? mutate(bytes, next) : bytes);
    pieces -= 1;
  };
}
