/** The substrate "local": every server is a process of this machine. */
import { startLocalPgbouncer } from "./local-pgbouncer.ts";
import { startLocalPostgres } from "./local-postgres.ts";
import type { Server, Substrate } from "./substrate.ts";

export function openLocalSubstrate(): Substrate {
  const servers: Server[] = [];
  const track = <S extends Server>(server: S): S => {
    servers.push(server);
    return server;
  };
  return {
    kind: "local",
    postgres: async (options) => track(await startLocalPostgres(options)),
    pgbouncer: async (target, options) => track(await startLocalPgbouncer(target, options)),
    async close() {
      await Promise.all(servers.splice(0).map((server) => server.stop()));
    },
  };
}
