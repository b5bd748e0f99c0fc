/** Databases that let us in and then refuse: the answer names the cure, and nothing is lost. */
import { describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { asRole, query, tablesOf } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const LEDGER = "public.headgate_migrations";
const one = migrationFolder({ "1_a.sql": "create table a ();" });
const two = migrationFolder({ "1_a.sql": "create table a ();", "2_b.sql": "create table b ();" });

function said(run: Run): string {
  const failed = eventOf(run, "command.failed");
  return `${String(failed?.["reason"])}\n${String(failed?.["hint"])}`;
}

/** A database, and the same one as a new role that owns nothing in it. */
async function openBoth(): Promise<{ url: string; guest: string; role: string }> {
  const { url } = await servers.postgres.createDatabase();
  const role = await servers.postgres.createRole();
  return { url, guest: asRole(url, role), role: role.user };
}

const up = (url: string, dir: string): Promise<Run> => headgate(["up", "--dir", dir], withUrl(url));

test("a role that may not create in the schema: 7 before any DDL, and the GRANT in it works", async () => {
  const { url, guest, role } = await openBoth();
  await query(url, `create role owner_of_${role}; alter schema public owner to owner_of_${role}`);
  const refused = await up(guest, one);
  expect(refused.status).toBe(7);
  const grant = `grant create, usage on schema "public" to "${role}"`;
  for (const text of [`role "${role}"`, 'schema "public"', `"owner_of_${role}"`, "42501", grant]) {
    expect(said(refused)).toContain(text);
  }
  expect(said(refused)).toContain(`alter schema "public" owner to "${role}"`);
  expect(eventOf(refused, "migration.started")).toBeUndefined();
  expect(await tablesOf(url)).toEqual([]);

  await query(url, grant);
  expect((await up(guest, one)).status).toBe(0);
  expect(await tablesOf(url)).toEqual(["public.a", LEDGER]);
});

test("a role that may only read the ledger: fast path 0, pending 7 with a GRANT that works", async () => {
  const { url, guest, role } = await openBoth();
  expect((await up(url, one)).status).toBe(0);
  await query(url, `grant select on headgate_migrations to ${role}`);
  expect((await up(guest, one)).status).toBe(0);
  const refused = await up(guest, two);
  expect(refused.status).toBe(7);
  expect(said(refused)).toContain("42501");
  const grant = /grant select, insert, update, delete on .* to the role/.exec(said(refused))?.[0];
  expect(grant).toContain('"headgate_migrations"');
  expect(await tablesOf(url)).toEqual(["public.a", LEDGER]);

  await query(url, String(grant).replace("the role", role));
  await query(url, `grant create on schema public to ${role}`);
  expect((await up(guest, two)).status).toBe(0);
});

test("a role that may not do what the migration does: 7, and nothing of it stays", async () => {
  const { url, guest, role } = await openBoth();
  await query(url, `create table theirs (id int); grant create, usage on schema public to ${role}`);
  const dir = migrationFolder({ "1_a.sql": "create table a ();\nalter table theirs add b int;" });
  const refused = await up(guest, dir);
  expect(refused.status).toBe(7);
  expect(said(refused)).toContain("1_a.sql");
  expect(said(refused)).toContain("42501");
  expect(await tablesOf(url)).toEqual(["public.theirs"]);
});

test("a role that may not connect: 7 with the server's words", async () => {
  const { url, guest } = await openBoth();
  await query(url, `revoke connect on database ${new URL(url).pathname.slice(1)} from public`);
  const refused = await up(guest, one);
  expect(refused.status).toBe(7);
  expect(said(refused)).toContain("permission denied for database");
  expect(said(refused)).toContain("grant connect on database");
});

test("a search path without a schema: 2, and it says which path", async () => {
  const { url, guest, role } = await openBoth();
  await query(url, `alter role ${role} set search_path = nowhere`);
  const refused = await up(guest, one);
  expect(refused.status).toBe(2);
  expect(said(refused)).toContain("nowhere");
});

test("a ledger that lost its rows: 4 where the first table stands already, and nothing is lost", async () => {
  const { url } = await openBoth();
  expect((await up(url, two)).status).toBe(0);
  await query(url, "truncate headgate_migrations");
  const refused = await up(url, two);
  expect(refused.status).toBe(4);
  expect(said(refused)).toContain('relation "a" already exists');
  expect(await tablesOf(url)).toEqual(["public.a", "public.b", LEDGER]);
});

describe("a server that only reads", () => {
  async function openReadOnly(): Promise<{ url: string; readOnly: string }> {
    const { url } = await servers.postgres.createDatabase();
    const role = await servers.postgres.createRole({ attributes: "superuser" });
    await query(url, `alter role ${role.user} set default_transaction_read_only = on`);
    return { url, readOnly: asRole(url, role) };
  }

  test("says so on an empty database, with what to do about it", async () => {
    const { url, readOnly } = await openReadOnly();
    const refused = await up(readOnly, one);
    expect(refused.status).toBe(7);
    expect(said(refused)).toContain("read-only transaction");
    expect(said(refused)).toContain("name the primary");
    expect(await tablesOf(url)).toEqual([]);
  });

  test("says so where migrations are pending, and at head it needs no more", async () => {
    const { url, readOnly } = await openReadOnly();
    expect((await up(url, one)).status).toBe(0);
    expect((await up(readOnly, one)).status).toBe(0);
    const refused = await up(readOnly, two);
    expect(refused.status).toBe(7);
    expect(said(refused)).toContain("read-only transaction");
    expect(await tablesOf(url)).toEqual(["public.a", LEDGER]);
    expect((await up(url, two)).status).toBe(0);
  });
});
