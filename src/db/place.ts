/** Where the ledger stands, or will stand. Asked once per run, answered in the server's spelling. */
import { HeadgateError } from "../core/error.ts";
import { quoteIdentifier } from "../core/identifier.ts";
import type { LedgerName, LedgerPlace } from "../core/ledger.ts";
import type { Connection, Row } from "../ports.ts";

/** What a runner must know about the place before it may create a table there. */
export interface Tenancy {
  readonly exists: boolean;
  readonly mayCreate: boolean;
  readonly schemaOwner: string;
  readonly role: string;
}

/**
 * An existing table on the search path wins, else the first schema of the path that exists. A
 * query and not `to_regclass`: the catalog cache behind it may be stale.
 *
 * @param searchPath Looked along instead of the session's, when given.
 * @throws {HeadgateError} `config-invalid` when no schema of the search path exists, or the first one
 *   is the server's own: a ledger in `pg_temp` would be gone with the session, and say nothing of it.
 */
export async function resolvePlace(
  connection: Connection,
  name: LedgerName,
  searchPath?: string,
): Promise<LedgerPlace> {
  if (name.schema !== undefined) return { schema: name.schema, table: name.table };
  return onSearchPath(connection, searchPath, () => lookUp(connection, name));
}

/**
 * Asks along another search path than the session's, outside of any transaction.
 *
 * @param searchPath Undefined: the session's own, which costs nothing.
 */
export async function onSearchPath<T>(
  connection: Connection,
  searchPath: string | undefined,
  ask: () => Promise<T>,
): Promise<T> {
  if (searchPath === undefined) return ask();
  await connection.run("begin isolation level read committed read only");
  await connection.bind("select set_config('search_path', $1::text, true)", [searchPath]);
  const answer = await ask();
  await connection.run("rollback");
  return answer;
}

async function lookUp(connection: Connection, name: LedgerName): Promise<LedgerPlace> {
  const { rows } = await connection.bind(
    `select coalesce(
  (select n.nspname::text
   from unnest(current_schemas(false)) with ordinality as path (schema, place)
   join pg_namespace n on n.nspname = path.schema
   join pg_class c on c.relnamespace = n.oid and c.relname = $1::text
   order by path.place limit 1),
  current_schema()::text) as schema, current_setting('search_path') as search_path`,
    [name.table],
  );
  const schema = rows[0]?.["schema"];
  const path = String(rows[0]?.["search_path"]);
  if (typeof schema !== "string") throw placeError(`no schema of the search path (${path}) exists`);
  if (!schema.startsWith(RESERVED)) return { schema, table: name.table };
  throw placeError(`the search path (${path}) leads to ${schema}, which is the server's own`);
}

/** PostgreSQL keeps such names for itself. */
const RESERVED = "pg_";

function placeError(reason: string): HeadgateError {
  return new HeadgateError(`Cannot place the ledger: ${reason}`, {
    code: "config-invalid",
    hint: "Create the schema and let the search path begin with it (alter role … set search_path), or name one with --ledger schema.table",
  });
}

/**
 * Does the ledger exist, and if not, may we create it? Asked inside the gate, after the lock.
 *
 * @throws {HeadgateError} `config-invalid` when the schema does not exist.
 */
export async function readTenancy(connection: Connection, place: LedgerPlace): Promise<Tenancy> {
  const { rows } = await connection.bind(
    `select c.oid is not null as exists, has_schema_privilege(n.oid, 'create') as may_create,
  pg_get_userbyid(n.nspowner)::text as owner, current_user::text as role
from pg_namespace n
left join pg_class c on c.relnamespace = n.oid and c.relname = $2::text
where n.nspname = $1::text`,
    [place.schema, place.table],
  );
  const row = rows[0];
  if (row) return toTenancy(row);
  throw new HeadgateError(
    `Cannot place the ledger: schema ${quoteIdentifier(place.schema)} does not exist`,
    {
      code: "config-invalid",
      hint: `Create it: create schema ${quoteIdentifier(place.schema)}`,
    },
  );
}

function toTenancy(row: Row): Tenancy {
  return {
    exists: row["exists"] === true,
    mayCreate: row["may_create"] === true,
    schemaOwner: String(row["owner"]),
    role: String(row["role"]),
  };
}
