/** What a reproduction runs on: servers of its own, or those that two variables name, with their owner's word. */
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { BINARY } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { openSubstrate } from "../support/substrate.ts";

/** A database, straight and through a pooler that pools transactions. */
export interface Stack {
  readonly direct: string;
  readonly pooled: string;
  readonly close: () => Promise<void>;
}

/** A prerequisite that is not there, and the command that brings it. */
export class Missing extends Error {}

export interface Arguments {
  readonly replicas: number;
  readonly destructive: boolean;
  readonly database: string | undefined;
}

export function readArguments(argv: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      replicas: { type: "string", default: "3" },
      destructive: { type: "boolean", default: false },
      database: { type: "string" },
    },
  });
  const replicas = Number(values.replicas);
  if (!(replicas >= 2 && replicas <= 50)) throw new Missing("--replicas is a number from 2 to 50");
  return { replicas, destructive: values.destructive, database: values.database };
}

/**
 * Servers of its own when no variable is set. Somebody else's database is dropped and made anew, so
 * it needs `--destructive` and its own name behind `--database`.
 */
export async function openStack(args: Arguments): Promise<Stack> {
  const { HARNESS_DIRECT_URL: direct, HARNESS_POOLED_URL: pooled } = process.env;
  if (direct === undefined && pooled === undefined) return ownStack();
  if (direct === undefined || pooled === undefined) {
    throw new Missing("Set both HARNESS_DIRECT_URL and HARNESS_POOLED_URL, or neither");
  }
  const name = await nameAt(direct, "PostgreSQL does not answer at HARNESS_DIRECT_URL");
  await nameAt(pooled, "The pooler does not answer at HARNESS_POOLED_URL");
  if (!args.destructive) {
    throw new Missing(
      `This ends sessions and empties schema public of database ${name}: say --destructive`,
    );
  }
  if (args.database !== name) {
    throw new Missing(`The database is ${name}, and --database says ${args.database ?? "nothing"}`);
  }
  return { direct, pooled, close: async () => undefined };
}

/** The binary, for reproductions that compare with it. */
export function requireBinary(): void {
  if (!existsSync(BINARY)) throw new Missing(`${BINARY} is missing: npm run build`);
}

async function ownStack(): Promise<Stack> {
  if (Bun.which("pgbouncer", { PATH: `${process.env["PATH"]}:/usr/sbin` }) === null) {
    throw new Missing("PgBouncer is not installed: apt-get install pgbouncer");
  }
  const substrate = await openSubstrate("local").catch((cause: unknown) => {
    throw new Missing(`PostgreSQL's binaries are missing: npm ci (${String(cause)})`);
  });
  const server = await substrate.postgres();
  const pool = await substrate.pgbouncer(server, { poolSize: 2 });
  const database = await server.createDatabase();
  return {
    direct: database.url,
    pooled: pool.urlOf(database),
    close: () => substrate.close(),
  };
}

async function nameAt(url: string, problem: string): Promise<string> {
  try {
    const [row] = await query(url, "select current_database() as name");
    return String(row?.["name"]);
  } catch (cause) {
    const hint = "headgate manifest compose | docker compose -f - up --detach";
    throw new Missing(`${problem} (${(cause as Error).message}). A fixture: ${hint}`, { cause });
  }
}
