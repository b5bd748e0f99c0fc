/** A TCP listener that is no PostgreSQL server, or a bad one; it counts who comes and keeps what they say. */
import { createServer, type Socket } from "node:net";

export interface StubServer {
  readonly port: number;
  /** A URL that leads here, with a password worth stealing. */
  readonly url: string;
  /** How many connections came. */
  connections(): number;
  /** Everything that all clients said. */
  received(): Buffer;
  close(): Promise<void>;
}

export const STUB_PASSWORD = "stub-password-5e1c";

/** `onData` answers what a client says, `onConnect` speaks first; without both it is silent. */
export async function openStub(
  behaviour: {
    readonly onConnect?: (socket: Socket) => void;
    readonly onData?: (socket: Socket, chunk: Buffer) => void;
  } = {},
): Promise<StubServer> {
  const sockets = new Set<Socket>();
  const chunks: Buffer[] = [];
  let count = 0;
  const server = createServer((socket) => {
    count += 1;
    sockets.add(socket);
    socket.on("error", () => undefined).on("close", () => sockets.delete(socket));
    socket.on("data", (data) => {
      const chunk = Buffer.from(data);
      chunks.push(chunk);
      behaviour.onData?.(socket, chunk);
    });
    behaviour.onConnect?.(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    url: `postgres://app:${STUB_PASSWORD}@127.0.0.1:${port}/db`,
    connections: () => count,
    received: () => Buffer.concat(chunks),
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
