/**
 * Two releases with different roles on one database, as during a rolling deployment or a rollback:
 * the newer one's definition wins once, and the older one leaves it alone.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { RBAC_MARK } from "../../src/embed/rbac.ts";
import { BINARY, eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { query } from "../support/query.ts";
import { EXPECTED, seedCounts, type Template, templateAtHead } from "../support/seeds.ts";
import { useServers } from "../support/use-servers.ts";

const NEXT = RBAC_MARK.number + 1;
const ADDED = "tags.read";
const FINGERPRINT = RBAC_MARK.fingerprint.replaceAll(/[0-7]/g, "8");

/** The next release: viewers may do one thing more. */
const RELEASE: readonly Mutation[] = [
  {
    file: "embed/rbac-seed.json",
    find: `"number": ${RBAC_MARK.number},`,
    replace: `"number": ${NEXT},`,
  },
  {
    file: "embed/rbac-seed.json",
    find: '"description": "Read access and tool execution within team scope",\n      "permissions": [',
    replace: `"description": "Read access and tool execution within team scope",
      "permissions": ["${ADDED}",`,
  },
  {
    file: "embed/rbac-mark.gen.ts",
    find: `number: ${RBAC_MARK.number},`,
    replace: `number: ${NEXT},`,
  },
  { file: "embed/rbac-mark.gen.ts", find: RBAC_MARK.fingerprint, replace: FINGERPRINT },
];

const servers = useServers();
let template: Template;
let newer: Awaited<ReturnType<typeof buildMutant>>;
beforeAll(async () => {
  newer = await buildMutant(...RELEASE);
  template = await templateAtHead(servers.postgres);
}, 120_000);
afterAll(() => newer?.remove());

type Release = "old" | "new";

function run(url: string, release: Release, ...args: readonly string[]): Promise<Run> {
  const binary = release === "new" ? newer.binary : BINARY;
  return headgate(args, { ...withUrl(url), binary });
}

function written(runs: readonly Run[]): readonly string[] {
  return runs
    .flatMap(({ events }) => events)
    .filter(({ event }) => event === "seed.written")
    .map(({ kind }) => String(kind));
}

/** All that a release could change: the rows with the transactions that wrote them. */
function stateOf(url: string) {
  return query(
    url,
    `select xmin::text, to_jsonb(r) as row from roles r
union all select xmin::text, to_jsonb(g) from user_roles g
union all select xmin::text, to_jsonb(s) from headgate_seeds s order by 2`,
  );
}

async function recordOf(url: string) {
  return query(url, "select name, spec_number::int as number, fingerprint from headgate_seeds");
}

async function viewersMay(url: string): Promise<boolean> {
  const may = `select from roles where name = 'viewer' and permissions::jsonb ? '${ADDED}'`;
  return (await query(url, may)).length === 1;
}

async function seededBy(...releases: readonly Release[]): Promise<string> {
  const { url } = await template.copy();
  for (const release of releases) expect((await run(url, release, "seed")).status).toBe(0);
  return url;
}

describe("a newer release", () => {
  test.each(["up", "seed"])(
    "%s converges what has changed, and records its number",
    async (command) => {
      const url = await seededBy("old");
      expect(await recordOf(url)).toEqual([{ ...RBAC_MARK }]);
      expect(await viewersMay(url)).toBe(false);
      const first = await run(url, "new", command);
      expect([first.status, written([first])]).toEqual([0, ["converge-role"]]);
      expect(eventOf(first, "seed.written")?.["what"]).toBe(`viewer (team): +${ADDED}`);
      expect(await viewersMay(url)).toBe(true);
      expect(await recordOf(url)).toEqual([
        { name: "rbac", number: NEXT, fingerprint: FINGERPRINT },
      ]);
      const before = await stateOf(url);
      expect(written([await run(url, "new", command)])).toEqual([]);
      expect(await stateOf(url)).toEqual(before);
    },
  );
});

describe("an older release, after it", () => {
  test.each(["up", "seed"])("%s writes nothing and says so", async (command) => {
    const url = await seededBy("old", "new");
    const before = await stateOf(url);
    const later = await run(url, "old", command);
    expect(later.status).toBe(0);
    expect(eventOf(later, "seed.skipped")?.["reason"]).toContain("newer version");
    expect(eventOf(later, "gate.acquired")).toBeUndefined();
    expect(later.stdout).toContain("Seeding skipped");
    expect(await stateOf(url)).toEqual(before);
  });

  test("also where something is missing that both would seed", async () => {
    const url = await seededBy("new");
    await query(url, "delete from user_roles; delete from roles where name = 'developer'");
    const before = await stateOf(url);
    expect((await run(url, "old", "up")).status).toBe(0);
    expect(await stateOf(url)).toEqual(before);
    expect(written([await run(url, "new", "up")]).toSorted()).toEqual([
      "create-role",
      "grant-role",
      "grant-role",
    ]);
  });
});

describe("both by turns", () => {
  test("settle with the newer one's first run", async () => {
    const url = await seededBy("old", "new");
    const before = await stateOf(url);
    for (let turn = 1; turn <= 20; turn += 1) {
      const { status } = await run(url, turn % 2 === 1 ? "old" : "new", "up");
      expect([turn, status]).toEqual([turn, 0]);
    }
    expect(await stateOf(url)).toEqual(before);
  }, 120_000);

  test.each([
    ["on an empty database", [] as readonly Release[]],
    ["on a database of the old one", ["old"] as readonly Release[]],
  ])(
    "all at once settle %s",
    async (_where, before) => {
      const url = await seededBy(...before);
      const releases = Array.from({ length: 8 }, (_, i): Release => (i % 2 === 0 ? "old" : "new"));
      const runs = await Promise.all(
        releases.map((release) => {
          const binary = release === "new" ? newer.binary : BINARY;
          return start(["up"], { ...withUrl(url), binary }).done;
        }),
      );
      expect(runs.map(({ status }) => status)).toEqual(releases.map(() => 0));
      expect(await seedCounts(url)).toEqual(EXPECTED);
      expect(await viewersMay(url)).toBe(true);
      expect(await recordOf(url)).toMatchObject([{ number: NEXT }]);
      expect(written(runs).filter((kind) => kind === "create-admin").length).toBe(
        1 - before.length,
      );
      expect(written(runs).filter((kind) => kind === "converge-role").length).toBeLessThanOrEqual(
        1,
      );
      const settled = await stateOf(url);
      await Promise.all(releases.map((release) => run(url, release, "up")));
      expect(await stateOf(url)).toEqual(settled);
    },
    120_000,
  );

  test("never settle when the older one does not heed the record", async () => {
    const heedless = await buildMutant({
      file: "flow/rbac-look.ts",
      find: 'if (states.some(({ state }) => state === "newer")) return { kind: "newer" };',
      replace: "",
    });
    const url = await seededBy("old", "new");
    const seen: boolean[] = [];
    for (let turn = 1; turn <= 3; turn += 1) {
      await headgate(["up"], { ...withUrl(url), binary: heedless.binary });
      seen.push(await viewersMay(url));
      await run(url, "new", "up");
      seen.push(await viewersMay(url));
    }
    heedless.remove();
    // The new one's plan sees the difference, whatever is recorded.
    expect(seen).toEqual([false, true, false, true, false, true]);
  }, 60_000);
});

describe("--require-seeds", () => {
  interface Answers {
    readonly probes: readonly number[];
    readonly statuses: readonly number[];
  }

  /** Old and new, with and without. */
  async function ask(url: string): Promise<Answers> {
    const both = async (...args: readonly string[]): Promise<readonly number[]> => {
      const runs = [await run(url, "old", ...args), await run(url, "new", ...args)];
      return runs.map(({ status }) => status);
    };
    return {
      probes: [...(await both("probe", "--require-seeds")), ...(await both("probe"))],
      statuses: [
        ...(await both("status", "--exit-code", "--require-seeds")),
        ...(await both("status", "--exit-code")),
      ],
    };
  }

  test("is no until that release has seeded, and stays yes for an older one", async () => {
    const { url } = await template.copy();
    expect(await ask(url)).toEqual({ probes: [1, 1, 0, 0], statuses: [9, 9, 0, 0] });
    await run(url, "old", "seed");
    expect(await ask(url)).toEqual({ probes: [0, 1, 0, 0], statuses: [0, 9, 0, 0] });
    await run(url, "new", "seed");
    expect(await ask(url)).toEqual({ probes: [0, 0, 0, 0], statuses: [0, 0, 0, 0] });
  });

  test("says which seeds are stale, and why", async () => {
    const url = await seededBy("old");
    const probe = await run(url, "new", "probe", "--require-seeds", "--json");
    expect(JSON.parse(probe.stdout)).toMatchObject({ ready: false, state: "seeds-stale" });
    expect(JSON.parse(probe.stdout).reason).toContain(
      `seeds rbac are of version ${RBAC_MARK.number}, and this version has ${NEXT}`,
    );
    const status = await run(url, "new", "status", "--require-seeds", "--json");
    expect(JSON.parse(status.stdout)).toMatchObject({
      ready: false,
      state: "seeds-stale",
      probe: 1,
    });
    const quiet = await run(url, "new", "probe", "--require-seeds");
    expect([quiet.stdout, quiet.stderr.trim().split("\n").length]).toEqual(["", 1]);
    expect(eventOf(quiet, "probe.not-ready")?.["state"]).toBe("seeds-stale");
  });
});
