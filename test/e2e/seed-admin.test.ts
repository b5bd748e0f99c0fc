/** The administrator's account: whose password it has, how its address is spelt, what it gets back. */
import { beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { argon2Verify } from "hash-wasm";
import { eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { createLineage } from "../support/lineage.ts";
import { holdGate } from "../support/lock-holder.ts";
import { query } from "../support/query.ts";
import { ADMIN, seedCounts, type Template, templateAtHead } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const FIRST = "Correct-Horse-9-Battery";
const SECOND = "Another-Staple-7-Entirely";
const CHEAP = { ARGON2ID_MEMORY_COST: "64", ARGON2ID_TIME_COST: "1" };

const servers = useServers();
let template: Template;
beforeAll(async () => {
  template = await templateAtHead(servers.postgres);
}, 60_000);

async function unseeded(): Promise<string> {
  return (await template.copy()).url;
}

/** With a password; undefined: with none. */
function runWith(
  url: string,
  password: string | undefined,
  ...args: readonly string[]
): Promise<Run> {
  const given = password === undefined ? {} : { PLATFORM_ADMIN_PASSWORD: password };
  return headgate(args, withUrl(url, { ...CHEAP, ...given }));
}

async function hashOf(url: string): Promise<string> {
  const [user] = await query(url, "select password_hash from email_users");
  return String(user?.["password_hash"]);
}

describe("an existing password", () => {
  test.each([
    [["up"]],
    [["seed"]],
    [["seed", "--enable-admin"]],
    [["up", "--allow-weak-password"]],
  ])("is not touched by %j, whatever is given now", async (args) => {
    const url = await unseeded();
    expect((await runWith(url, FIRST, "seed")).status).toBe(0);
    const before = await query(url, "select xmin::text, * from email_users");
    const run = await runWith(url, SECOND, ...args);
    expect(run.status).toBe(0);
    expect(eventOf(run, "gate.acquired")).toBeUndefined();
    expect(await query(url, "select xmin::text, * from email_users")).toEqual(before);
    expect(await argon2Verify({ password: FIRST, hash: await hashOf(url) })).toBe(true);
  });

  test("is not touched where the application has written another hash", async () => {
    const url = await unseeded();
    await runWith(url, FIRST, "seed");
    await query(url, "update email_users set password_hash = 'theirs'");
    for (const args of [["up"], ["seed", "--enable-admin"]]) {
      expect((await runWith(url, SECOND, ...args)).status).toBe(0);
    }
    expect(await hashOf(url)).toBe("theirs");
  });
});

describe("without a password", () => {
  test("nobody can log in, and a warning says what to do", async () => {
    const url = await unseeded();
    const run = await runWith(url, undefined, "seed");
    expect(run.status).toBe(0);
    expect(await hashOf(url)).toBe("!disabled");
    expect(eventOf(run, "admin.disabled")).toMatchObject({
      level: "warn",
      email: ADMIN,
      hint: expect.stringContaining("seed --enable-admin"),
    });
    expect(run.stdout).toContain("cannot log in");
  });

  test("only --enable-admin gives one, and only once", async () => {
    const url = await unseeded();
    await runWith(url, undefined, "seed");
    for (const args of [["up"], ["seed"]]) {
      expect((await runWith(url, FIRST, ...args)).status).toBe(0);
      expect(await hashOf(url)).toBe("!disabled");
    }
    const enabled = await runWith(url, FIRST, "seed", "--enable-admin", "--json");
    expect(JSON.parse(enabled.stdout)).toMatchObject({
      changes: [{ kind: "set-password", what: ADMIN }],
      password: "given",
    });
    const hash = await hashOf(url);
    expect(await argon2Verify({ password: FIRST, hash })).toBe(true);
    expect((await runWith(url, SECOND, "seed", "--enable-admin")).status).toBe(0);
    expect(await hashOf(url)).toBe(hash);
  });

  test("--enable-admin has nothing to give", async () => {
    const run = await runWith(await unseeded(), undefined, "seed", "--enable-admin");
    expect(run.status).toBe(2);
    expect(eventOf(run, "command.failed")?.["hint"]).toContain("PLATFORM_ADMIN_PASSWORD");
  });
});

describe("a weak password", () => {
  test.each([
    ["up", "changeme"],
    ["seed", "ChangeMe123!"],
    ["seed", ADMIN],
    ["seed", "short-1"],
  ])("%s refuses %s, and nothing is written", async (command, weak) => {
    const url = await unseeded();
    const run = await runWith(url, weak, command);
    expect(run.status).toBe(9);
    const failed = eventOf(run, "command.failed");
    expect(failed?.["reason"]).toContain("PLATFORM_ADMIN_PASSWORD");
    expect(failed?.["hint"]).toContain("--allow-weak-password");
    expect(await seedCounts(url)).toMatchObject({ admins: 0, roles: {}, records: 0 });
  });

  test("--allow-weak-password takes it", async () => {
    const url = await unseeded();
    expect((await runWith(url, "changeme", "up", "--allow-weak-password")).status).toBe(0);
    expect(await argon2Verify({ password: "changeme", hash: await hashOf(url) })).toBe(true);
  });

  test("is nobody's business once the administrator exists", async () => {
    const url = await unseeded();
    await runWith(url, FIRST, "seed");
    await query(url, "delete from user_roles");
    for (const args of [["up"], ["seed"], ["seed", "--enable-admin"]]) {
      expect((await runWith(url, "changeme", ...args)).status).toBe(0);
    }
    expect((await seedCounts(url)).grants).not.toEqual({});
  });
});

describe("the password and its hash", () => {
  test("are in no output, whatever becomes of the run", async () => {
    const noisy = ["--log-level", "debug"];
    const url = await unseeded();
    const broken = await unseeded();
    await query(broken, "alter table email_users add check (full_name = 'x')");
    const runs = [
      await runWith(broken, FIRST, "seed", ...noisy),
      await runWith(url, FIRST, "up", ...noisy, "--json"),
      await runWith(url, FIRST, "seed", ...noisy),
    ];
    expect(runs.map(({ status }) => status)).toEqual([9, 0, 0]);
    const weak = await runWith(await unseeded(), "short-1", "seed", ...noisy);
    const hash = await hashOf(url);
    for (const { stdout, stderr } of [...runs, weak]) {
      for (const secret of [FIRST, "short-1", hash, "$argon2id$"]) {
        expect(stdout + stderr).not.toContain(secret);
      }
    }
  });

  test("are not shown by `ps`", async () => {
    const url = await unseeded();
    const holder = await holdGate(url);
    const env = { ...CHEAP, PLATFORM_ADMIN_PASSWORD: FIRST };
    const run = start(["seed", "--lock-wait", "60s"], withUrl(url, env));
    const shown = execFileSync("ps", ["-ww", "-o", "args=", "-p", String(run.pid)], {
      encoding: "utf8",
    });
    await holder.release();
    expect((await run.done).status).toBe(0);
    expect(shown).toContain("seed");
    expect(shown).not.toContain(FIRST);
  });
});

describe("an administrator who was demoted", () => {
  test.each(["up", "seed"])("is one again after %s, and stays one", async (command) => {
    const url = await unseeded();
    await runWith(url, undefined, "seed");
    await query(url, "update email_users set is_admin = false");
    const run = await runWith(url, undefined, command);
    expect(run.status).toBe(0);
    expect(eventOf(run, "seed.written")).toMatchObject({ kind: "promote-admin", what: ADMIN });
    const after = await query(url, "select xmin::text, * from email_users");
    expect(after).toMatchObject([{ is_admin: true, password_hash: "!disabled" }]);
    expect(eventOf(await runWith(url, undefined, command), "seed.written")).toBeUndefined();
    expect(await query(url, "select xmin::text, * from email_users")).toEqual(after);
  });
});

test("an address in any spelling is one address", async () => {
  const url = await unseeded();
  await query(url, "insert into servers (id, name) values ('1', 'alpha')");
  const as = (email: string): Promise<Run> =>
    headgate(["seed", "--assign-orphans"], withUrl(url, { PLATFORM_ADMIN_EMAIL: email }));
  expect((await as(" Admin@Example.COM ")).status).toBe(0);
  const spellings = `select email from email_users union select created_by from roles
union select user_email from user_roles union select granted_by from user_roles
union select created_by from email_teams union select user_email from email_team_members
union select user_email from email_auth_events union select owner_email from servers`;
  expect(await query(url, spellings)).toEqual([{ email: ADMIN }]);
  for (const email of ["ADMIN@EXAMPLE.COM", "admin@example.com", "\tAdmin@example.com"]) {
    const run = await as(email);
    expect([email, run.status, run.stdout]).toEqual([email, 0, "Nothing to seed\n"]);
  }
  expect(await query(url, "select from email_users")).toHaveLength(1);
});

describe("EMAIL_AUTH_ENABLED=false", () => {
  const OFF = { EMAIL_AUTH_ENABLED: "false", PLATFORM_ADMIN_PASSWORD: "changeme" };

  test("leaves a fresh database without accounts and roles", async () => {
    const url = await unseeded();
    await query(url, "insert into servers (id, name) values ('1', 'alpha')");
    const run = await headgate(["up", "--assign-orphans"], withUrl(url, OFF));
    expect(run.status).toBe(0);
    expect(eventOf(run, "seed.written")).toBeUndefined();
    const counts = { admins: 0, roles: {}, grants: {}, personalTeams: 0, registrations: 0 };
    expect(await seedCounts(url)).toMatchObject(counts);
    expect(await query(url, "select owner_email from servers")).toEqual([{ owner_email: null }]);
  });

  test("still sees to the visibility of teams", async () => {
    const { url } = await servers.postgres.createDatabase();
    await createLineage(url, "orm");
    await query(
      url,
      `insert into email_users (id, email, password_hash, is_admin, is_active, auth_provider,
  password_hash_type, failed_login_attempts, created_at, updated_at, password_change_required)
values ('1', 'bob@example.com', 'x', false, true, 'local', 'argon2id', 0, now(), now(), false);
insert into email_teams (id, name, slug, created_by, is_personal, visibility, created_at,
  updated_at, is_active)
values ('1', 'Stray', 'stray', 'bob@example.com', false, 'secret', now(), now(), true)`,
    );
    const run = await headgate(["seed", "--no-ledger", "--json"], withUrl(url, OFF));
    expect(run.status).toBe(0);
    const kinds = JSON.parse(run.stdout).changes.map(({ kind }: { kind: string }) => kind);
    expect(kinds).toEqual(["normalise-team"]);
    expect(await query(url, "select visibility from email_teams")).toEqual([
      { visibility: "private" },
    ]);
    expect(await seedCounts(url)).toMatchObject({ admins: 0, roles: {}, grants: {} });
  });
});
