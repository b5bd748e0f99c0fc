/** The drill's SQL: its scratch place, made, read and removed, and who is left of its runners. */
import * as v from "valibot";
import { type Scratch, scratchOf } from "../core/drill-scratch.ts";
import type { AuditRow, LeftBehind } from "../core/drill-verdict.ts";
import { type GateKey, runKey, stepKey } from "../core/gate-key.ts";
import { integerLiteral, quoteIdentifier, quoteLedger } from "../core/identifier.ts";
import type { Connection } from "../ports.ts";

const number = v.pipe(v.union([v.string(), v.number()]), v.transform(Number));
const text = v.nullable(v.string());

const siteSchema = v.object({
  pid: number,
  role: v.string(),
  database: v.string(),
  may_create_schema: v.boolean(),
  free: number,
});

/** What a drill has to know before it starts. */
export interface Site {
  /** Proven for this connection: another process answers than the login named. */
  readonly isPooled: boolean;
  readonly role: string;
  readonly database: string;
  readonly mayCreateSchema: boolean;
  /** Connections that the server, the database's limit and the role's still allow. */
  readonly free: number;
}

/** Behind a pooler this is the server's side: what the pooler itself allows cannot be seen. */
export async function readSite(connection: Connection): Promise<Site> {
  const { rows, loginPid } = await connection.run(SITE);
  const { pid, role, database, may_create_schema, free } = v.parse(siteSchema, rows[0]);
  const isPooled = loginPid !== undefined && loginPid !== pid;
  return { isPooled, role, database, mayCreateSchema: may_create_schema, free };
}

/** Sessions of other roles are counted too: which database they are in is never hidden. */
const SITE = `with used as (select datname, usename from pg_stat_activity where datname is not null)
select pg_backend_pid() as pid, current_user::text as role, d.datname::text as database,
  has_database_privilege(d.oid, 'create') as may_create_schema,
  greatest(0, least(
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true)::int, 0) - (select count(*) from used),
    case when d.datconnlimit >= 0
      then d.datconnlimit - (select count(*) from used where datname = d.datname) end,
    case when r.rolconnlimit >= 0
      then r.rolconnlimit - (select count(*) from used where usename = r.rolname) end)) as free
from pg_database d, pg_roles r
where d.datname = current_database() and r.rolname = session_user`;

/**
 * Makes the scratch place, in one transaction: the audit table, and the schema where it has one of
 * its own. The ledger is left to the runners, who race for it. The comment is for who finds it later.
 */
export async function createScratch(connection: Connection, scratch: Scratch): Promise<void> {
  const audit = quoteLedger(scratch.audit);
  const schema = quoteIdentifier(scratch.ledger.schema);
  if (scratch.ownsSchema) {
    await connection.run(`create schema ${schema};
comment on schema ${schema} is 'Scratch schema of a headgate drill: drop it with cascade when no drill runs';
${auditTable(audit)}`);
  } else {
    await connection.run(auditTable(audit));
  }
}

function auditTable(audit: string): string {
  return `create table ${audit} (
  version integer not null,
  began_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
comment on table ${audit} is 'Scratch table of a headgate drill: drop it when no drill runs'`;
}

/** As a person would remove it. */
export function removalOf(scratch: Scratch): string {
  return scratch.ownsSchema
    ? `drop schema if exists ${quoteIdentifier(scratch.ledger.schema)} cascade`
    : `drop table if exists ${quoteLedger(scratch.ledger)}, ${quoteLedger(scratch.audit)}`;
}

/** How long a removal waits for what a killed runner left; a killed statement of ours ends before. */
const REMOVAL_LOCK_MS = 2500;

/** Removes all of it or nothing. What is not there is no error. */
export async function dropScratch(connection: Connection, scratch: Scratch): Promise<void> {
  await connection.run(
    `select set_config('lock_timeout', (${integerLiteral(REMOVAL_LOCK_MS)})::text, true);
${removalOf(scratch)}`,
  );
}

const leftoverSchema = v.object({ schema: v.string(), table_name: text });

/** Scratch places that are there already: of a drill that was killed, or of one that runs now. */
export async function readLeftovers(connection: Connection): Promise<readonly Scratch[]> {
  const { rows } = await connection.run(`select n.nspname::text as schema, null as table_name
from pg_namespace n where n.nspname ~ '^headgate_drill_[0-9a-f]{12}$'
union all
select n.nspname::text, c.relname::text
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and c.relname ~ '^headgate_drill_[0-9a-f]{12}_audit$'
order by 1, 2`);
  return rows.map((raw) => {
    const { schema, table_name } = v.parse(leftoverSchema, raw);
    if (table_name === null) return scratchOf(schema.slice(-12), undefined);
    return scratchOf(table_name.slice(-18, -6), schema);
  });
}

const auditSchema = v.object({ version: number, began_ms: number, ended_ms: number });

/** What the migrations wrote about themselves. */
export async function readAudit(
  connection: Connection,
  { audit }: Scratch,
): Promise<readonly AuditRow[]> {
  const { rows } = await connection.run(`select version,
  extract(epoch from began_at) * 1000 as began_ms,
  extract(epoch from coalesce(ended_at, began_at)) * 1000 as ended_ms
from ${quoteLedger(audit)}`);
  return rows.map((raw) => {
    const { version, began_ms, ended_ms } = v.parse(auditSchema, raw);
    return { version, beganMs: began_ms, endedMs: ended_ms };
  });
}

const leftSchema = v.object({
  pid: v.nullable(number),
  what: v.picklist(["gate", "ledger", "statement"]),
  state: text,
});

/**
 * Who holds a key of the drill's gate, a lock on its tables, or works on a statement that names it.
 * A lock for reading is a backup's or a person's: a runner inside the gate has a stronger one.
 */
export async function readLeftBehind(
  connection: Connection,
  scratch: Scratch,
): Promise<readonly LeftBehind[]> {
  const [step, run] = [stepKey(scratch.ledger), runKey(scratch.ledger)];
  const { rows } = await connection.bind(LEFT_BEHIND, [
    ...parts(step),
    ...parts(run),
    scratch.ledger.schema,
    [scratch.ledger.table, scratch.audit.table].join(" "),
    scratch.name,
  ]);
  return rows.map((raw) => v.parse(leftSchema, raw));
}

function parts({ namespace, ledger }: GateKey): readonly number[] {
  return [namespace >>> 0, ledger >>> 0];
}

const LEFT_BEHIND = `select distinct on (pid) pid, what, state from (
  select l.pid, case when l.locktype = 'advisory' then 'gate' else 'ledger' end as what, a.state
  from pg_locks l left join pg_stat_activity a on a.pid = l.pid
  where l.granted and l.database = (select oid from pg_database where datname = current_database())
    and (l.locktype = 'advisory' and l.objsubid = 2
        and (l.classid::bigint = $1::bigint and l.objid::bigint = $2::bigint
          or l.classid::bigint = $3::bigint and l.objid::bigint = $4::bigint)
      or l.locktype = 'relation' and l.mode <> 'AccessShareLock' and l.relation in (
        select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $5::text and c.relname = any (string_to_array($6::text, ' '))))
  union all
  select a.pid, 'statement', a.state from pg_stat_activity a
  where a.state = 'active' and a.datname = current_database() and strpos(a.query, $7::text) > 0) as found
order by pid, what`;
