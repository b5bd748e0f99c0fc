/** What a database of the matrix has besides headgate's own: witnesses that no rollback silences. */
import { RUN_NAMESPACE, STEP_NAMESPACE } from "../../src/core/gate-key.ts";
import type { Credentials } from "../support/substrate.ts";

/** A body waits as long as its version stands here. */
export function brake(version: number): string {
  return `insert into witness.brake values (${version})`;
}
export const NO_BRAKE = "delete from witness.brake";

/**
 * `enter` is called by every body. Two bodies at once move the sequence `overlap`, which no rollback
 * takes back; the rows of `log` are committed with the body, or not at all. `snapshot` is STABLE, so
 * that all it reads is of one moment.
 */
export function witnesses(prober: Credentials): string {
  return `
create schema witness;
create sequence witness.overlap;
create table witness.log (version int, mark text default 'enter');
create table witness.brake (version int);
create table witness.hot ();
create function witness.enter(version int) returns void language plpgsql as $$
begin
  if not pg_try_advisory_xact_lock(1953, 1) then perform nextval('witness.overlap'); end if;
  insert into witness.log values (enter.version);
  while exists (select from witness.brake b where b.version = enter.version) loop
    perform pg_sleep(0.05);
  end loop;
end $$;
create function witness.snapshot() returns json language plpgsql stable as $$
declare
  tables text[] := array(select relname::text from pg_class where relnamespace = 'public'::regnamespace);
  applied int[] := '{}';
  roles int := 0;
  seeds int := 0;
begin
  if 'headgate_migrations' = any (tables) then
    execute 'select array(select version::int from headgate_migrations where state = ''applied'')' into applied;
  end if;
  if 'roles' = any (tables) then execute 'select count(*) from roles' into roles; end if;
  if 'headgate_seeds' = any (tables) then execute 'select count(*) from headgate_seeds' into seeds; end if;
  return json_build_object('effects', array(select substr(name, 8)::int from unnest(tables) name where name like 'effect\\__'),
    'applied', applied, 'roles', roles, 'seeds', seeds,
    'logged', array(select log.version from witness.log where mark = 'enter'));
end $$;
alter default privileges in schema public grant select on tables to ${prober.user};
`;
}

/** A row of `witness.snapshot()`. */
export interface Snapshot {
  readonly effects: readonly number[];
  readonly logged: readonly number[];
  readonly applied: readonly number[];
  readonly roles: number;
  readonly seeds: number;
}

/** Who is connected, and with which locks; everything of one database. */
export const SESSIONS: string = `select extract(epoch from clock_timestamp()) * 1000 as at,
  witness.snapshot() as snapshot, (select is_called from witness.overlap) as overlap,
  (select coalesce(json_agg(s), '[]') from (
    select a.pid || ' ' || a.backend_start as session, a.pid, a.application_name as name,
      a.state = 'active' as active,
      substring(a.query from 'headgate:([0-9a-f-]{36})') as run,
      a.state = 'active' and a.query ~* 'index concurrently|witness.enter' as works,
      bool_or(l.granted and (l.locktype = 'advisory' and l.classid in (${STEP_NAMESPACE}, ${RUN_NAMESPACE})
        or l.locktype = 'relation' and l.mode = 'ShareRowExclusiveLock'
          and l.relation = (select c.oid from pg_class c where c.relname = 'headgate_migrations'))) is true as holds,
      bool_or(not l.granted or l.locktype = 'transactionid' or l.locktype = 'relation'
        and l.mode <> 'AccessShareLock') is true as disturbs
    from pg_stat_activity a left join pg_locks l on l.pid = a.pid
    where a.datname = current_database() and a.pid <> pg_backend_pid()
      and a.backend_type = 'client backend'
    group by 1, 2, 3, 4, 5, 6) s) as sessions`;

/** A session as the watch sees it. */
export interface Session {
  /** Process id and start: never another one's. */
  readonly session: string;
  readonly pid: number;
  readonly name: string;
  readonly active: boolean;
  /** The token of the run whose statement it runs or ran. */
  readonly run: string | null;
  /** It is inside a migration's statement. */
  readonly works: boolean;
  /** It holds a lock of the gate. */
  readonly holds: boolean;
  /** It waits for a lock, or has one that a mere reader has not. */
  readonly disturbs: boolean;
}
