/**
 * What an integration test runs on: PostgreSQL and PgBouncer, either as processes of this machine ("local") or as
 * containers. One interface, so that every test runs on both, and a word that names which.
 */
import process from "node:process";
import type { PostgresMajor } from "./embedded-postgres.ts";

/** Paths of PEM files. The server gets copies, with the owner and the mode that it insists on. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface ServerOptions {
  /** Local only; a container is what its image is. */
  readonly version?: PostgresMajor;
  /** Server parameters, as in `postgresql.conf`. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly tls?: TlsFiles;
  /** Lines of `pg_hba.conf`, before the usual ones: the first line that matches a connection decides. */
  readonly hba?: readonly string[];
}

export interface Server {
  readonly host: string;
  readonly port: number;
  /** An orderly end; what the server wrote is removed. A second call does nothing. */
  stop(): Promise<void>;
  /** SIGKILL to the server and all its children. What it wrote stays. */
  kill(): Promise<void>;
  /** Freezes the server and all its children: connections stay open, and nothing answers. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface Database {
  readonly name: string;
  /** `postgres://user:password@host:port/name` */
  readonly url: string;
}

export interface RoleOptions {
  readonly password?: string;
  /** As `create role` takes them, such as "createdb noinherit". */
  readonly attributes?: string;
}

export interface PostgresServer extends Server, Credentials {
  /** As PostgreSQL says it: "18.4". */
  readonly version: string;
  /** Local only: the folder of its Unix socket. */
  readonly socketDir?: string;
  /** A new, empty database. */
  createDatabase(): Promise<Database>;
  /** A new role that may log in. */
  createRole(options?: RoleOptions): Promise<Credentials>;
  /** On the same port with the same data; also after `kill()`. "immediate" is a crash with recovery. */
  restart(mode?: RestartMode): Promise<void>;
}

export type RestartMode = "fast" | "immediate";

/** How another PgBouncer than the system's is started. */
export interface PgbouncerProgram {
  readonly command: string;
  /** Before the configuration's path. */
  readonly args: readonly string[];
}

export interface PgbouncerOptions {
  /** Local only. */
  readonly program?: PgbouncerProgram;
  /** Default "transaction". */
  readonly poolMode?: "transaction" | "session" | "statement";
  /** Server connections per database and user. Default 20. */
  readonly poolSize?: number;
  /** Lines of section `[pgbouncer]`; they win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Who may log in besides the superuser. */
  readonly users?: readonly Credentials[];
}

export interface Pgbouncer extends Server {
  readonly version: string;
  /** The same database with the same credentials, through the pooler. */
  urlOf(database: Database): string;
  /** A command of its console, such as "kill db_1"; resolves when the pooler has done it. */
  admin(command: string): Promise<void>;
  /** As SIGINT asks for it: who works may finish. Resolves when the pooler has ended. */
  shutDownSafely(): Promise<void>;
  /** On the same port; also after `kill()`. */
  restart(): Promise<void>;
}

export interface Substrate {
  readonly kind: "local" | "containers";
  postgres(options?: ServerOptions): Promise<PostgresServer>;
  pgbouncer(target: PostgresServer, options?: PgbouncerOptions): Promise<Pgbouncer>;
  /** Stops every server that still runs. */
  close(): Promise<void>;
}

/**
 * Opens the substrate that `kind`, or else TEST_SUBSTRATE, names. There is no "auto" on purpose: with it a missing
 * container engine would turn into tests that silently ran elsewhere.
 *
 * @throws {Error} when the word is unknown, or the container engine does not answer.
 */
export async function openSubstrate(
  kind: string = process.env["TEST_SUBSTRATE"] ?? "local",
): Promise<Substrate> {
  switch (kind) {
    case "local": {
      const { openLocalSubstrate } = await import("./local-substrate.ts");
      return openLocalSubstrate();
    }
    case "containers": {
      const { openContainerSubstrate } = await import("./container-substrate.ts");
      return openContainerSubstrate();
    }
    default:
      throw new Error(
        `Cannot open test substrate "${kind}": TEST_SUBSTRATE is "local" or "containers"`,
      );
  }
}
