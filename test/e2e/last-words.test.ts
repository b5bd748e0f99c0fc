/** What a server or a pooler says just before it hangs up reaches the person who reads the log. */
import { expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, start, withUrl } from "../support/headgate.ts";
import { query, tablesOf, until } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const dir = migrationFolder({ "1_a.sql": "create table a (); select pg_sleep(1);" });
const ASLEEP = "wait_event = 'PgSleep' and datname = current_database()";

test("a session that is ended during a migration: the reason, and then another try", async () => {
  const { url } = await servers.postgres.createDatabase();
  const up = start(["up", "--dir", dir], withUrl(url));
  await until(url, `select from pg_stat_activity where ${ASLEEP}`);
  await query(url, `select pg_terminate_backend(pid) from pg_stat_activity where ${ASLEEP}`);
  const run = await up.done;
  expect(run.status).toBe(0);
  expect(eventOf(run, "connection.lost")?.["reason"]).toContain("administrator command");
  expect(await tablesOf(url)).toEqual(["public.a", "public.headgate_migrations"]);
});

test("a pooler whose server is gone: its own reason", async () => {
  const gone = await servers.substrate.postgres();
  const pooler = await servers.substrate.pgbouncer(gone, { settings: { query_wait_timeout: "1" } });
  const url = pooler.urlOf(await gone.createDatabase());
  expect((await headgate(["status", "--dir", dir], withUrl(url))).status).toBe(0);
  await gone.stop();
  const status = await headgate(["status", "--dir", dir], withUrl(url));
  expect(status.status).toBe(7);
  expect(eventOf(status, "command.failed")?.["reason"]).toContain("query_wait_timeout");
});
