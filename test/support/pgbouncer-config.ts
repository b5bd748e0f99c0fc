/** PgBouncer's two files, the same on every substrate. Pure. */
import type { Address } from "./postgres-admin.ts";
import { SUPERUSER } from "./postgres-admin.ts";
import type { Credentials, PgbouncerOptions } from "./substrate.ts";

export interface PgbouncerConfig {
  /** The PostgreSQL server, as PgBouncer sees it. */
  readonly target: Address;
  readonly listen: Address;
  /** Path of the file that {@link renderUserlist} made. */
  readonly userlist: string;
  readonly options: PgbouncerOptions;
}

/**
 * Defaults as PgBouncer ships them, above all `server_reset_query` and an empty `ignore_startup_parameters`: a
 * parameter that a real pooler refuses must be refused here. Only the waiting times after a lost server differ (15 s
 * each), so that a test which restarts PostgreSQL need not wait that long.
 */
export function renderPgbouncerIni({ target, listen, userlist, options }: PgbouncerConfig): string {
  const settings: Readonly<Record<string, string>> = {
    listen_addr: listen.host,
    listen_port: String(listen.port),
    unix_socket_dir: "",
    auth_type: "scram-sha-256",
    auth_file: userlist,
    admin_users: SUPERUSER.user,
    pool_mode: options.poolMode ?? "transaction",
    default_pool_size: String(options.poolSize ?? 20),
    max_client_conn: "500",
    server_login_retry: "1",
    dns_max_ttl: "1",
    dns_nxdomain_ttl: "1",
    ...options.settings,
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}`);
  const databases = ["[databases]", `* = host=${target.host} port=${target.port}`];
  return `${[...databases, "[pgbouncer]", ...lines].join("\n")}\n`;
}

/** Plain passwords: PgBouncer logs in to the server with them, which a SCRAM verifier does not allow. */
export function renderUserlist(users: readonly Credentials[]): string {
  const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
  return users.map(({ user, password }) => `${quote(user)} ${quote(password)}\n`).join("");
}
