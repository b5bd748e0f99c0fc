/** Who seeds what: by `--seed`, by what the migrations have made, and by where the ledger stands. */
import { beforeAll, describe, expect, test } from "bun:test";
import { HEAD } from "../../src/embed/head.gen.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { query, tablesOf } from "../support/query.ts";
import { EXPECTED, seedCounts, type Template, templateAtHead } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const own = migrationFolder({ "1_own.sql": "create table own ();" });
const servers = useServers();
let template: Template;
beforeAll(async () => {
  template = await templateAtHead(servers.postgres);
}, 60_000);

function skips(run: Run): readonly unknown[] {
  return run.events.filter(({ event }) => event === "seed.skipped").map(({ reason }) => reason);
}

/** As a newer release leaves it: one version more. */
const AHEAD = `insert into headgate_migrations (version, name, checksum, history, state)
select version + 1, 'x', checksum, history, 'applied' from headgate_migrations
where version = ${HEAD.version}`;

describe("--seed none", () => {
  test.each([
    [["--seed", "none"], {}],
    [[], { HEADGATE_SEED: "none" }],
  ])("by %j %j seeds nothing on either path", async (flags, env) => {
    const { url } = await servers.postgres.createDatabase();
    for (const path of ["slow", "fast"]) {
      const run = await headgate(["up", ...flags], withUrl(url, env));
      expect(eventOf(run, "database.ready")).toMatchObject({ path });
      expect(run.stdout).not.toMatch(/seed/i);
    }
    expect(await seedCounts(url)).toMatchObject({ admins: 0, roles: {}, records: 0 });
    expect(await tablesOf(url)).not.toContain("public.headgate_seeds");
  });
});

describe("migrations that make other tables", () => {
  test("are migrated, and one line says that seeding was skipped", async () => {
    const { url } = await servers.postgres.createDatabase();
    for (let run = 1; run <= 2; run += 1) {
      const up = await headgate(["up", "--dir", own], withUrl(url));
      expect(up.status).toBe(0);
      expect(skips(up)).toEqual([expect.stringContaining("email_users")]);
      expect(up.events.at(-1)?.event).toBe("database.ready");
    }
    expect(await tablesOf(url)).toEqual(["public.headgate_migrations", "public.own"]);
  });

  test("are an error for whoever insists on the gateway's", async () => {
    const { url } = await servers.postgres.createDatabase();
    const run = await headgate(["up", "--dir", own, "--seed", "rbac"], withUrl(url));
    expect(run.status).toBe(9);
    expect(eventOf(run, "command.failed")?.["reason"]).toContain("email_users");
    expect((await headgate(["seed", "--dir", own], withUrl(url))).status).toBe(9);
    expect((await headgate(["probe", "--dir", own], withUrl(url))).status).toBe(0);
  });

  test("a table of the gateway's that lacks a column is named", async () => {
    const { url } = await template.copy();
    await query(url, "alter table user_roles drop column expires_at");
    const run = await headgate(["seed"], withUrl(url));
    expect(run.status).toBe(9);
    expect(eventOf(run, "command.failed")?.["reason"]).toContain("user_roles.expires_at");
    expect(await seedCounts(url)).toMatchObject({ admins: 0, roles: {} });
  });
});

describe("the ledger", () => {
  test("behind: seed exits 3 and writes nothing", async () => {
    const { url } = await servers.postgres.createDatabase();
    await headgate(["up", "--to", String(HEAD.version - 1)], withUrl(url));
    expect((await headgate(["seed"], withUrl(url))).status).toBe(3);
    expect(await seedCounts(url)).toMatchObject({ admins: 0, roles: {}, records: 0 });
  });

  test("absent: seed exits 3 and makes none", async () => {
    const { url } = await servers.postgres.createDatabase();
    expect((await headgate(["seed"], withUrl(url))).status).toBe(3);
    expect(await tablesOf(url)).toEqual([]);
  });

  test("ahead: seed and up write nothing, and seed says so", async () => {
    const { url } = await template.copy();
    await query(url, AHEAD);
    const run = await headgate(["seed"], withUrl(url));
    expect(run.status).toBe(0);
    expect(skips(run)).toEqual([expect.stringContaining("ahead")]);
    expect(run.stdout).toBe("Seeding skipped: the database is ahead of this version\n");
    const up = await headgate(["up"], withUrl(url));
    expect([up.status, eventOf(up, "seed.written")]).toEqual([0, undefined]);
    expect(await seedCounts(url)).toMatchObject({ admins: 0, roles: {}, records: 0 });
  });

  test("interrupted: seed exits 4 and writes nothing", async () => {
    const { url } = await template.copy();
    await query(
      url,
      `update headgate_migrations set state = 'failed' where version = ${HEAD.version}`,
    );
    expect((await headgate(["seed"], withUrl(url))).status).toBe(4);
    expect(await seedCounts(url)).toMatchObject({ admins: 0, roles: {}, records: 0 });
  });
});

describe("migrations that are another runner's", () => {
  test("leave the seeds to it, unless this one is told to seed", async () => {
    const { url } = await template.copy();
    const pod = ["up", "--skip-migrations", "verify"];
    expect((await headgate(pod, withUrl(url))).status).toBe(0);
    expect((await seedCounts(url)).roles).toEqual({});
    expect((await headgate([...pod, "--seed", "rbac"], withUrl(url))).status).toBe(0);
    expect(await seedCounts(url)).toEqual(EXPECTED);
  });

  test("are not waited for: behind, it exits 3 and seeds nothing", async () => {
    const { url } = await servers.postgres.createDatabase();
    await headgate(["up", "--to", String(HEAD.version - 1)], withUrl(url));
    const pod = ["up", "--skip-migrations", "verify", "--seed", "rbac"];
    expect((await headgate(pod, withUrl(url))).status).toBe(3);
    expect((await seedCounts(url)).roles).toEqual({});
  });
});
