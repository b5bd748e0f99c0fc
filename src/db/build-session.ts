/** What a session must be like before statements run on it outside a transaction. */
import type { Connection } from "../ports.ts";

/** A setting that may end a statement before its time. */
export interface Timeout {
  readonly name: string;
  /** With its unit, as in `5s`. */
  readonly value: string;
  /** Where the server has it from: `user`, `database`, `configuration file`, … */
  readonly source: string;
  readonly role: string;
}

/**
 * The timeouts that are on. They cannot be switched off by SET LOCAL, because there is no
 * transaction, nor by SET, which a pooler would pass on to the next client.
 */
export async function readTimeouts(connection: Connection): Promise<readonly Timeout[]> {
  const { rows } = await connection.bind(
    `select s.name, current_setting(s.name) as value, s.source, current_user::text as role
from pg_settings s
where s.name in ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'transaction_timeout')
  and s.setting <> '0'
order by s.name`,
    [],
  );
  return rows.map((row) => ({
    name: String(row["name"]),
    value: String(row["value"]),
    source: String(row["source"]),
    role: String(row["role"]),
  }));
}

/** Whether unqualified names mean the same with the session's own search path. */
export async function hasSearchPath(connection: Connection, wanted: string): Promise<boolean> {
  const { rows } = await connection.bind(
    `select replace(current_setting('search_path'), ' ', '') = replace($1::text, ' ', '') as is_same`,
    [wanted],
  );
  return rows[0]?.["is_same"] === true;
}
