/** The servers of one test file: the only hook that tests share. */
import { afterAll, beforeAll } from "bun:test";
import {
  openSubstrate,
  type Pgbouncer,
  type PgbouncerOptions,
  type PostgresServer,
  type Substrate,
} from "./substrate.ts";

const START_TIMEOUT_MS = 120_000;

/** Reading one before the tests run, or a pooler that was not asked for, is an error. */
export interface Servers {
  readonly substrate: Substrate;
  readonly postgres: PostgresServer;
  readonly pool: Pgbouncer;
}

/** Starts PostgreSQL, and a pooler when its options are given, before the file's tests; ends them after. */
export function useServers(pooler?: PgbouncerOptions): Servers {
  let started: { substrate: Substrate; postgres: PostgresServer; pool?: Pgbouncer } | undefined;
  beforeAll(async () => {
    const substrate = await openSubstrate();
    const postgres = await substrate.postgres();
    started = { substrate, postgres };
    if (pooler) started.pool = await substrate.pgbouncer(postgres, pooler);
  }, START_TIMEOUT_MS);
  afterAll(() => started?.substrate.close());

  const get = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error("Cannot use a server that is not started");
    return value;
  };
  return {
    get substrate() {
      return get(started?.substrate);
    },
    get postgres() {
      return get(started?.postgres);
    },
    get pool() {
      return get(started?.pool);
    },
  };
}
