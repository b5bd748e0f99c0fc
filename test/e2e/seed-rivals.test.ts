/**
 * Another session writes the same row at the same time and passes no gate, as the application
 * does: whoever commits first has written the row, and the other one builds upon it.
 */
import { beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { query, until } from "../support/query.ts";
import { ADMIN, EXPECTED, seedCounts, type Template, templateAtHead } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const BLOCKED = `select from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock'`;

const servers = useServers();
let template: Template;
beforeAll(async () => {
  template = await templateAtHead(
    servers.postgres,
    "insert into email_users (id, email, password_hash) values ('bob', 'bob@example.com', 'x')",
  );
}, 60_000);

/** A row that seeding wants too, with an id of its own. */
interface Rivalry {
  readonly what: string;
  readonly insert: string;
  /** Makes a seeded database lack it. */
  readonly missing?: string;
  /** The ids that other rows name it by. */
  readonly referredTo: string;
  readonly rivals: readonly string[];
}

const role = (name: string, scope: string): Omit<Rivalry, "missing"> => ({
  what: `the role ${name}`,
  insert: `insert into roles (id, name, scope, permissions, created_by, is_system_role)
values ('rival', '${name}', '${scope}', '["*"]', 'bob@example.com', false)`,
  referredTo: `select role_id as id from user_roles where scope = '${scope}'`,
  rivals: ["rival"],
});

const RIVALRIES: readonly Rivalry[] = [
  role("platform_admin", "global"),
  role("team_admin", "team"),
  {
    what: "the account",
    insert: `insert into email_users (id, email, password_hash, is_admin)
values ('rival', '${ADMIN}', 'theirs', true);
insert into email_auth_events (user_email, event_type, success) values ('${ADMIN}', 'registration', true)`,
    referredTo: `select password_hash as id from email_users where email = '${ADMIN}'`,
    rivals: ["theirs"],
  },
  {
    what: "the team",
    missing: `delete from user_roles where scope = 'team'; delete from email_team_member_history;
delete from email_team_members; delete from email_teams`,
    insert: `insert into email_teams (id, name, slug, created_by, is_personal)
values ('rival', 'Theirs', 'platform-administrators-team', '${ADMIN}', true)`,
    referredTo: `select team_id as id from email_team_members
union all select team_id from email_team_member_history
union all select scope_id from user_roles where scope = 'team'`,
    rivals: ["rival", "rival", "rival"],
  },
  {
    what: "the grant",
    missing: "delete from user_roles where scope = 'global'",
    insert: `insert into user_roles (id, user_email, role_id, scope, granted_by)
select 'rival', '${ADMIN}', id, 'global', '${ADMIN}' from roles where name = 'platform_admin'`,
    referredTo: "select id from user_roles where scope = 'global'",
    rivals: ["rival"],
  },
];

/** Starts seeding while the rival's row is uncommitted, and ends its transaction once that waits. */
async function meet(
  url: string,
  rivalry: Rivalry,
  ending: "commit" | "rollback",
  binary?: string,
): Promise<Run> {
  if (rivalry.missing !== undefined) {
    expect((await headgate(["seed"], withUrl(url))).status).toBe(0);
    await query(url, rivalry.missing);
  }
  const rival = postgres(url, { max: 1, prepare: false, onnotice() {} });
  try {
    await rival.unsafe(`begin; ${rivalry.insert}`).simple();
    const options = { ...withUrl(url), ...(binary === undefined ? {} : { binary }) };
    const run = start(["seed"], options);
    await until(url, BLOCKED);
    await rival.unsafe(ending).simple();
    return await run.done;
  } finally {
    await rival.end();
  }
}

async function idsOf(url: string, rivalry: Rivalry): Promise<readonly unknown[]> {
  return (await query(url, rivalry.referredTo)).map(({ id }) => id);
}

describe.each(RIVALRIES)("$what, which another session", (rivalry) => {
  test("commits while seed waits: it is taken, and nothing else is lost", async () => {
    const { url } = await template.copy();
    const run = await meet(url, rivalry, "commit");
    expect(run.status).toBe(0);
    expect(await idsOf(url, rivalry)).toEqual([...rivalry.rivals]);
    expect(await seedCounts(url)).toEqual(EXPECTED);
    expect((await headgate(["seed"], withUrl(url))).stdout).toBe("Nothing to seed\n");
  });

  test("rolls back while seed waits: seed writes its own", async () => {
    const { url } = await template.copy();
    const run = await meet(url, rivalry, "rollback");
    expect(run.status).toBe(0);
    for (const id of await idsOf(url, rivalry)) expect(rivalry.rivals).not.toContain(String(id));
    expect(await seedCounts(url)).toEqual(EXPECTED);
  });
});

test("an account that another session has created is not reported as created here", async () => {
  const { url } = await template.copy();
  const account = RIVALRIES.find(({ what }) => what === "the account") as Rivalry;
  const run = await meet(url, account, "commit");
  expect(run.status).toBe(0);
  expect(run.stdout).not.toContain("created admin");
  expect(run.stdout).not.toContain("password");
});

test("a slug that somebody else's team takes while seed waits gets a number", async () => {
  const { url } = await template.copy();
  const run = await meet(
    url,
    {
      ...(RIVALRIES.find(({ what }) => what === "the team") as Rivalry),
      insert: `insert into email_teams (id, name, slug, created_by, is_personal)
values ('rival', 'Theirs', 'platform-administrators-team', 'bob@example.com', true)`,
    },
    "commit",
  );
  expect(run.status).toBe(0);
  const slugs = await query(url, `select slug from email_teams where created_by = '${ADMIN}'`);
  expect(slugs).toEqual([{ slug: "platform-administrators-team-2" }]);
});

test("without the savepoint, a row that was lost to a rival takes everything with it", async () => {
  const without = (text: string): Mutation => ({
    file: "db/savepoint.ts",
    find: `await connection.run("${text}");`,
    replace: "",
  });
  const mutant = await buildMutant(
    without("savepoint one_row"),
    without("release savepoint one_row"),
    without("rollback to savepoint one_row; release savepoint one_row"),
  );
  const statuses: number[] = [];
  // A wait that is too long for the lock's own limit is tried again, and hides the damage.
  for (let round = 1; round <= 5 && !statuses.includes(9); round += 1) {
    const { url } = await template.copy();
    const run = await meet(url, role("team_admin", "team"), "commit", mutant.binary);
    statuses.push(run.status);
    if (run.status !== 9) continue;
    expect(await seedCounts(url)).toMatchObject({ admins: 0, registrations: 0, grants: {} });
  }
  mutant.remove();
  expect(statuses).toContain(9);
}, 60_000);
