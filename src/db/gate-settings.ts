/** What is in force in the gate's transaction, and ends with it. */
import { integerLiteral } from "../core/identifier.ts";
import type { Connection } from "../ports.ts";

/** How long our own LOCK TABLE may queue: longer, and it would block the readers behind it. */
const LEDGER_LOCK_MS = 2000;
/** The only bound on a frozen holder: the server ends its transaction. Never 0. */
const IDLE_LIMIT_MS = 30_000;

/** The idle limit comes before the lock: a holder that freezes right after it is bounded too. */
export const PRE: string = `begin isolation level read committed;
set local statement_timeout = 0;
set local lock_timeout = ${integerLiteral(LEDGER_LOCK_MS)};
set local idle_in_transaction_session_timeout = ${integerLiteral(IDLE_LIMIT_MS)}`;

/** Settings that exist only on some servers; a plain SET of an unknown one is an error. */
const WHERE_KNOWN: Readonly<Record<string, string>> = {
  client_connection_check_interval: "2s",
  tcp_keepalives_idle: "10",
  tcp_keepalives_interval: "5",
  tcp_keepalives_count: "3",
  tcp_user_timeout: "25000",
  transaction_timeout: "0",
};

/** The names that this server knows. */
export type KnownSettings = readonly string[];

/** For those who got the lock only: the view behind it costs the server more than a whole migration. */
export const WHERE_KNOWN_MESSAGE: string = `select known.name, set_config(known.name, known.value, true)
from (values ${valuesOf(WHERE_KNOWN)}) as known (name, value)
join pg_settings s on s.name = known.name`;

/** Puts them in force. */
export async function setWhereKnown(connection: Connection): Promise<KnownSettings> {
  const { rows } = await connection.run(WHERE_KNOWN_MESSAGE);
  return rows.map(({ name }) => String(name));
}

/** The same for who knows which there are: columns of a query, maybe none. */
export function settingKnown(settings: KnownSettings): string {
  return Object.entries(WHERE_KNOWN)
    .filter(([name]) => settings.includes(name))
    .map(([name, value]) => `set_config('${name}', '${value}', true)`)
    .join(", ");
}

/** Looks along the path that the target asks for, until the transaction ends. */
export async function followSearchPath(
  connection: Connection,
  { searchPath }: { readonly searchPath: string | undefined },
): Promise<void> {
  if (searchPath === undefined) return;
  await connection.bind("select set_config('search_path', $1::text, true)", [searchPath]);
}

function valuesOf(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `('${name}', '${value}')`)
    .join(", ");
}
