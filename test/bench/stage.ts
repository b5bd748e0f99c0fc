/** What every part of the bench stands on. */
import type { Database, Pgbouncer, PostgresServer } from "../support/substrate.ts";
import type { Contender, Samples } from "./measure.ts";
import type { Figure } from "./report.ts";
import type { Tools } from "./tools.ts";

export interface Stage {
  readonly tools: Tools;
  readonly server: PostgresServer;
  /** Transaction mode, two server connections. */
  readonly pool: Pgbouncer;
  /** The first of the two numbers, or with `--quick` the second: enough to show that it can be measured. */
  readonly size: (full: number, quick: number) => number;
  /** NaN, a ratio to who is not there, is left out. @throws {Error} when they are there. */
  readonly note: (figure: Figure) => void;
  /** What could not be compared, and why. */
  readonly miss: (what: string) => void;
  /** Keeps raw samples. */
  readonly keep: (what: string, samples: Samples) => void;
}

/** The same command on a new, empty database in every round. */
export function onFresh(server: PostgresServer, make: (url: string) => Contender): Contender {
  let database: Database | undefined;
  const current = (): Contender => make(database?.url ?? "postgres://nobody@127.0.0.1/none");
  return {
    name: current().name,
    prepare: async () => {
      database = await server.createDatabase();
    },
    get argv() {
      return current().argv;
    },
    get env() {
      return current().env ?? {};
    },
  };
}
