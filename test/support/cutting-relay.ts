/** Stands between a client and a server and cuts the line once, at a word of the client's. */
import { connect, createServer } from "node:net";
import type { Address } from "./postgres-admin.ts";

export interface CuttingRelay extends Address {
  /** True once it has cut. */
  hasCut(): boolean;
  close(): Promise<void>;
}

/**
 * Hands on everything until the client says `word`. That message still reaches the server, whose
 * answer never comes back; later connections are whole. Without TLS.
 */
export async function openCuttingRelay(target: Address, word: string): Promise<CuttingRelay> {
  let hasCut = false;
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    let isDeaf = false;
    client.on("data", (chunk) => {
      upstream.write(chunk);
      if (hasCut || !chunk.toString("latin1").includes(word)) return;
      hasCut = true;
      isDeaf = true;
      setTimeout(() => client.destroy(), 100);
    });
    upstream.on("data", (chunk) => {
      if (!isDeaf) client.write(chunk);
    });
    client.on("error", () => upstream.destroy()).on("close", () => upstream.destroy());
    upstream.on("error", () => client.destroy()).on("close", () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    host: "127.0.0.1",
    port,
    hasCut: () => hasCut,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
