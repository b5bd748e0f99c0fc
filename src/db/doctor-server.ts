/** Reads settings, clock and encryption of the session that answers. */
import * as v from "valibot";
import { JUDGED_SETTINGS, type ServerFacts } from "../core/doctor-server.ts";
import type { Connection } from "../ports.ts";

const factsSchema = v.object({
  version: v.number(),
  role: v.string(),
  database: v.string(),
  settings: v.array(v.object({ name: v.string(), value: v.string(), source: v.string() })),
});

/** Settings that the server does not know are left out. */
export async function readServerFacts(connection: Connection): Promise<ServerFacts> {
  const { rows } = await connection.bind(
    `select current_setting('server_version_num')::int as version, session_user::text as role,
  current_database()::text as database,
  (select coalesce(json_agg(json_build_object('name', s.name, 'value', s.setting, 'source', s.source)
      order by s.name), '[]'::json)
    from pg_settings s
    where s.name in (select json_array_elements_text($1::text::json))) as settings`,
    [JSON.stringify(JUDGED_SETTINGS)],
  );
  return v.parse(factsSchema, rows[0]);
}

/** The server's clock, in milliseconds since 1970. */
export async function readServerClock(connection: Connection): Promise<number> {
  const { rows } = await connection.run(
    "select (extract(epoch from clock_timestamp()) * 1000)::bigint as ms",
  );
  return Number(rows[0]?.["ms"]);
}

/** Whether the session that answers is encrypted: a pooler's own, where there is one. */
export async function readIsEncrypted(connection: Connection): Promise<boolean> {
  const { rows } = await connection.run(
    "select coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as ssl",
  );
  return rows[0]?.["ssl"] === true;
}

/** Whether the login named another process than the one that answers. */
export async function readIsPooled(connection: Connection): Promise<boolean> {
  const { rows, loginPid } = await connection.run("select pg_backend_pid() as pid");
  return loginPid !== undefined && loginPid !== Number(rows[0]?.["pid"]);
}
