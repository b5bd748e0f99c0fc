/** The servers that cases run on, and a new database for each. */
import { migrationFolder } from "../support/folder.ts";
import { headgate, withUrl } from "../support/headgate.ts";
import { urlOf } from "../support/postgres-admin.ts";
import { asRole, query } from "../support/query.ts";
import type {
  Credentials,
  Database,
  Pgbouncer,
  PostgresServer,
  Substrate,
} from "../support/substrate.ts";
import { bundleName, type Case, FAULTS, MOMENTS, type Route } from "./cases.ts";
import { witnesses } from "./witness.ts";

type PoolRoute = Exclude<Route, "direct">;

export interface Site {
  readonly postgres: PostgresServer;
  /** PostgreSQL's and PgBouncer's. */
  readonly versions: readonly [string, string];
  /** A new database for one case, and the way to it. */
  open(each: Case): Promise<Place>;
}

/** Where one case plays. */
export interface Place {
  readonly postgres: PostgresServer;
  readonly database: Database;
  /** The case's way to the database. */
  readonly url: string;
  /** The same way, in the name of a role that may only read. */
  readonly probeUrl: string;
  /** The pooler of this case alone; undefined: the fault is not its. */
  readonly pooler: OwnPooler | undefined;
  close(): Promise<void>;
}

/** A pooler that others do not need. */
export interface OwnPooler {
  /** Where its own commands are understood. */
  readonly adminUrl: string;
  /** SIGKILL, and another one on the same port. */
  restart(): Promise<void>;
}

const SIZES: Readonly<Record<PoolRoute, number>> = { "pool-1": 1, "pool-2": 2, "pool-10": 10 };

/** A server with a pooler of each size in front of it. */
export async function openSite(substrate: Substrate): Promise<Site> {
  const postgres = await substrate.postgres({ settings: { max_connections: "400" } });
  const prober = await postgres.createRole({ password: "pw" });
  await admin(postgres, `alter role ${prober.user} set default_transaction_read_only = on`);
  const startPooler = (route: PoolRoute, settings = {}): Promise<Pgbouncer> =>
    substrate.pgbouncer(postgres, { poolSize: SIZES[route], users: [prober], settings });
  const shared = {
    "pool-1": await startPooler("pool-1"),
    "pool-2": await startPooler("pool-2"),
    "pool-10": await startPooler("pool-10"),
  };
  const plain = await template(postgres, prober);
  const atHead = await template(postgres, prober, ["up", "--seed", "none"]);
  return {
    postgres,
    versions: [postgres.version, shared["pool-2"].version],
    open: async ({ moment, fault, route }) => {
      const name = `case_${crypto.randomUUID().slice(0, 8)}`;
      const from = MOMENTS[moment].family === "seed" ? atHead : plain;
      await admin(postgres, `create database ${name} template ${from}`);
      const database = { name, url: urlOf(postgres, postgres, name) };
      const drop = (): Promise<unknown> => admin(postgres, `drop database ${name} with (force)`);
      if (route === "direct") return placeOf({ postgres, database, prober, drop });
      if (FAULTS[fault].target !== "pooler") {
        return placeOf({ postgres, database, prober, drop, pooler: shared[route] });
      }
      const start = (settings = {}): Promise<Pgbouncer> => startPooler(route, settings);
      return ownPlace({ postgres, database, prober, drop, pooler: await start() }, start);
    },
  };
}

interface PlaceWish {
  readonly postgres: PostgresServer;
  readonly database: Database;
  readonly prober: Credentials;
  readonly pooler?: Pgbouncer;
  readonly drop: () => Promise<unknown>;
}

function placeOf({ postgres, database, prober, pooler, drop }: PlaceWish): Place {
  const url = pooler?.urlOf(database) ?? database.url;
  const close = async (): Promise<void> => void (await drop());
  return { postgres, database, url, probeUrl: asRole(url, prober), pooler: undefined, close };
}

function ownPlace(
  wish: PlaceWish & { readonly pooler: Pgbouncer },
  start: (settings: Readonly<Record<string, string>>) => Promise<Pgbouncer>,
): Place {
  const { postgres, pooler } = wish;
  const place = placeOf(wish);
  let running = pooler;
  return {
    ...place,
    pooler: {
      adminUrl: urlOf(pooler, postgres, "pgbouncer"),
      restart: async () => {
        await running.kill();
        running = await start({ listen_port: String(pooler.port) });
      },
    },
    close: async () => {
      await running.stop();
      await place.close();
    },
  };
}

function admin(postgres: PostgresServer, statement: string): Promise<unknown> {
  return query(urlOf(postgres, postgres, "postgres"), statement);
}

async function template(
  postgres: PostgresServer,
  prober: Credentials,
  args?: readonly string[],
): Promise<string> {
  const { name, url } = await postgres.createDatabase();
  await query(url, witnesses(prober));
  if (args) {
    const { status, stderr } = await headgate(args, withUrl(url));
    if (status !== 0) throw new Error(`Cannot make a template, exit ${status}: ${stderr}`);
    await query(url, `grant select on all tables in schema public to ${prober.user}`);
  }
  return name;
}

const body = (version: number): string =>
  `create table effect_${version} ();\nselect witness.enter(${version});\n`;
const TABLE =
  "create table t (c int, d int);\ninsert into t select n, n from generate_series(1, 500) n;\n";

let folders: Readonly<Record<string, string>> | undefined;

function makeFolders(): Readonly<Record<string, string>> {
  const outside = (statements: string): string =>
    migrationFolder({
      "0001_first.sql": body(1) + TABLE,
      "0002_second.sql": `-- migrate:up transaction:false\n${statements}\n`,
    });
  return {
    plain: migrationFolder({ "0001_first.sql": body(1), "0002_second.sql": body(2) }),
    waiting: migrationFolder({
      "0001_first.sql": body(1),
      "0002_second.sql": `-- migrate:up lock_timeout:60s\n${body(2)}lock table witness.hot in access exclusive mode;\n`,
    }),
    indexes: outside(
      "create index concurrently t_c on t (c);\ncreate index concurrently t_d on t (d);",
    ),
    unrepeatable: outside(
      "insert into witness.log values (2, 'first');\nselect witness.enter(2);\ninsert into witness.log values (2, 'last');",
    ),
  };
}

/** The flags that name a case's migrations, for every command. */
export function bundleOf({ moment }: Pick<Case, "moment">): readonly string[] {
  const name = bundleName(moment);
  folders ??= makeFolders();
  return name === "embedded" ? [] : ["--dir", folders[name] ?? ""];
}
