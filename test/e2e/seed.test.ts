/**
 * The gateway's first rows: exactly these on a fresh database, and from then on nothing. A row is
 * compared with the transaction that wrote it, so that an update to the same values shows too.
 */
import { describe, expect, test } from "bun:test";
import { argon2Verify } from "hash-wasm";
import { loadRbacSpec, RBAC_MARK } from "../../src/embed/rbac.ts";
import { eventOf, headgate, type RunOptions, withUrl } from "../support/headgate.ts";
import { createLineage, LINEAGES } from "../support/lineage.ts";
import { buildMutant } from "../support/mutant.ts";
import { atAddress } from "../support/postgres-admin.ts";
import { query, tablesOf } from "../support/query.ts";
import { race } from "../support/race.ts";
import { openRelay } from "../support/relay.ts";
import { useServers } from "../support/use-servers.ts";

const EMAIL = "admin@example.com";
const PASSWORD = "Correct-Horse-9-Battery";
const ENV = { PLATFORM_ADMIN_PASSWORD: PASSWORD };
const DASHED = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const HEX = /^[0-9a-f]{32}$/;
const RUNS_LATER: readonly (readonly string[])[] = [
  ["up"],
  ["seed"],
  ["up", "--seed", "rbac"],
  ["up", "--skip-migrations", "verify", "--seed", "rbac"],
  ["seed", "--no-ledger"],
  ["up", "--assign-orphans"],
];

const servers = useServers();

async function seeded(): Promise<string> {
  const { url } = await servers.postgres.createDatabase();
  expect((await headgate(["up"], withUrl(url, ENV))).status).toBe(0);
  return url;
}

/** All rows with the transaction that wrote each and its place, and every sequence. */
async function contents(url: string): Promise<readonly unknown[]> {
  const tables = await tablesOf(url);
  const rows = tables.map(
    (name) =>
      `select '${name}' as "table", t.xmin::text, t.ctid::text, to_jsonb(t)::text as row from ${name} t`,
  );
  const sequences = `select schemaname || '.' || sequencename, '', '', last_value::text from pg_sequences`;
  return query(url, `${[...rows, sequences].join("\nunion all\n")}\norder by 1, 4`);
}

/** What one run says to the server. */
async function overheard(url: string, args: readonly string[], options: Partial<RunOptions> = {}) {
  const relay = await openRelay(servers.postgres);
  const address = `${atAddress(url, relay)}?sslmode=disable`;
  const run = await headgate(args, { ...withUrl(address, ENV), ...options });
  await relay.close();
  return { run, connections: relay.connections(), queries: relay.queries() };
}

const SELECT = /^(\/\*.*\*\/ )?(select|with)\s/;

describe("up on an empty database", () => {
  test("creates an administrator who can log in with the given password", async () => {
    const url = await seeded();
    const users = await query(url, "select * from email_users");
    expect(users).toEqual([
      {
        id: expect.stringMatching(DASHED),
        email: EMAIL,
        password_hash: expect.stringMatching(/^\$argon2id\$v=19\$m=65536,t=3,p=1\$/),
        full_name: "Platform Administrator",
        is_admin: true,
        is_active: true,
        email_verified_at: expect.any(Date),
        auth_provider: "local",
        password_hash_type: "argon2id",
        failed_login_attempts: 0,
        locked_until: null,
        created_at: expect.any(Date),
        updated_at: expect.any(Date),
        last_login: null,
        password_change_required: true,
        password_changed_at: expect.any(Date),
        admin_origin: "api",
      },
    ]);
    const hash = String(users[0]?.["password_hash"]);
    expect(hash).toHaveLength(97);
    expect(await argon2Verify({ password: PASSWORD, hash })).toBe(true);
    expect(await argon2Verify({ password: `${PASSWORD}x`, hash })).toBe(false);
  });

  test("creates the roles as they are defined, permissions in their order", async () => {
    const url = await seeded();
    const { roles } = await loadRbacSpec();
    const found = await query(url, "select * from roles");
    const wanted = roles.map(({ isSystemRole, ...role }) => ({
      ...role,
      id: expect.stringMatching(DASHED),
      inherits_from: null,
      created_by: EMAIL,
      is_system_role: isSystemRole,
      is_active: true,
      created_at: expect.any(Date),
      updated_at: expect.any(Date),
    }));
    expect(found).toHaveLength(5);
    expect(found).toEqual(expect.arrayContaining(wanted));
  });

  test("creates the personal team with its owner, and both grants", async () => {
    const url = await seeded();
    const teams = await query(url, "select * from email_teams");
    expect(teams).toEqual([
      {
        id: expect.stringMatching(HEX),
        name: "Platform Administrator's Team",
        slug: "platform-administrators-team",
        description: `Personal workspace for ${EMAIL}`,
        created_by: EMAIL,
        is_personal: true,
        visibility: "private",
        max_members: null,
        created_at: expect.any(Date),
        updated_at: expect.any(Date),
        is_active: true,
      },
    ]);
    const team_id = teams[0]?.["id"];
    const members = await query(url, "select * from email_team_members");
    const who = { team_id, user_email: EMAIL, role: "owner" };
    expect(members).toEqual([
      {
        ...who,
        id: expect.stringMatching(HEX),
        joined_at: expect.any(Date),
        invited_by: null,
        is_active: true,
        grant_source: null,
      },
    ]);
    expect(await query(url, "select * from email_team_member_history")).toEqual([
      {
        ...who,
        id: expect.stringMatching(HEX),
        team_member_id: members[0]?.["id"],
        action: "added",
        action_by: EMAIL,
        action_timestamp: expect.any(Date),
      },
    ]);
    const grant = { user_email: EMAIL, granted_by: EMAIL, expires_at: null, is_active: true };
    expect(
      await query(
        url,
        `select r.name, g.scope, g.scope_id, g.user_email, g.granted_by, g.expires_at, g.is_active
from user_roles g join roles r on r.id = g.role_id and r.scope = g.scope order by r.name`,
      ),
    ).toEqual([
      { name: "platform_admin", scope: "global", scope_id: null, ...grant },
      { name: "team_admin", scope: "team", scope_id: team_id, ...grant },
    ]);
    expect(await query(url, "select id from user_roles")).toHaveLength(2);
  });

  test("records one registration, and that this definition is seeded", async () => {
    const url = await seeded();
    expect(
      await query(url, "select user_email, event_type, success from email_auth_events"),
    ).toEqual([{ user_email: EMAIL, event_type: "registration", success: true }]);
    expect(
      await query(url, "select name, spec_number::int as number, fingerprint from headgate_seeds"),
    ).toEqual([{ ...RBAC_MARK }]);
  });

  test("says what it wrote, on stdout and as events", async () => {
    const { url } = await servers.postgres.createDatabase();
    const run = await headgate(["up", "--json"], withUrl(url, ENV));
    const kinds = [
      "create-admin",
      ...Array.from({ length: 5 }, () => "create-role"),
      "create-team",
      "add-member",
      "add-history",
      "grant-role",
      "grant-role",
    ];
    const { seeds } = JSON.parse(run.stdout);
    expect(seeds).toMatchObject({ conflicts: [], files: [], password: "given", skipped: null });
    expect(seeds.changes.map(({ kind }: { kind: string }) => kind)).toEqual(kinds);
    const written = run.events.filter(({ event }) => event === "seed.written");
    expect(written.map(({ kind }) => String(kind))).toEqual(kinds);
    expect(run.events.at(-1)?.event).toBe("database.ready");
  });
});

describe("after that", () => {
  test("no run writes anything, one after the other or all at once", async () => {
    const url = await seeded();
    const before = await contents(url);
    for (const args of RUNS_LATER) {
      const run = await headgate(args, withUrl(url, ENV));
      expect([args, run.status]).toEqual([args, 0]);
      expect(eventOf(run, "gate.acquired")).toBeUndefined();
      expect(eventOf(run, "seed.written")).toBeUndefined();
      expect(await contents(url)).toEqual(before);
    }
    const { runs } = await race(6, ["up"], withUrl(url, ENV));
    expect(runs.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(await contents(url)).toEqual(before);
    await query(url, "update roles set name = name where name = 'viewer'");
    expect(await contents(url)).not.toEqual(before);
  });

  test.each(LINEAGES)(
    "no run writes anything on tables that the %s lineage made",
    async (lineage) => {
      const { url } = await servers.postgres.createDatabase();
      await createLineage(url, lineage);
      const args = ["seed", "--no-ledger", "--assign-orphans"];
      expect((await headgate(args, withUrl(url, ENV))).status).toBe(0);
      const before = await contents(url);
      for (let run = 2; run <= 4; run += 1) {
        expect((await headgate(args, withUrl(url, ENV))).stdout).toBe("Nothing to seed\n");
        expect(await contents(url)).toEqual(before);
      }
    },
  );

  test.each([["up"], ["seed"]])("%s is one connection and says only SELECT", async (command) => {
    const { run, connections, queries } = await overheard(await seeded(), [command]);
    expect(run.status).toBe(0);
    expect(connections).toBe(1);
    for (const text of queries) expect(text).toMatch(SELECT);
  });

  test("what was removed comes back, and the rest stays", async () => {
    const url = await seeded();
    const kept = "select id, updated_at from roles where name <> 'viewer' order by name";
    const before = await query(url, kept);
    await query(url, "delete from roles where name = 'viewer'; delete from user_roles");
    const run = await headgate(["up"], withUrl(url, ENV));
    const written = run.events.filter(({ event }) => event === "seed.written");
    expect(written.map(({ kind }) => kind)).toEqual(["create-role", "grant-role", "grant-role"]);
    expect(await query(url, kept)).toEqual(before);
    expect(await query(url, "select from user_roles where is_active")).toHaveLength(2);
  });

  test("with the look outside the gate disabled, the wire shows more than SELECT", async () => {
    const mutant = await buildMutant({
      file: "flow/seed.ts",
      find: "if (todo.rbac) await pass(rbac);",
      replace: "await pass(rbac);",
    });
    const { run, queries } = await overheard(await seeded(), ["seed"], { binary: mutant.binary });
    mutant.remove();
    expect(run.status).toBe(0);
    expect(queries.filter((text) => !SELECT.test(text))).not.toEqual([]);
  });
});
