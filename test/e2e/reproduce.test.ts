/** The two reproductions: what they show is so, and somebody else's database is safe from them. */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { showOrphan } from "../harness/orphan.ts";
import { showSymptom } from "../harness/replicas.ts";
import { query, tablesOf } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers({ poolSize: 2 });

async function stack() {
  const database = await servers.postgres.createDatabase();
  const pooled = servers.pool.urlOf(database);
  return { name: database.name, direct: database.url, pooled, close: async () => undefined };
}

test("the mechanism: a session-level lock stays behind, a transaction-level one does not", async () => {
  expect(await showOrphan(await stack())).toEqual({
    heldAfterLeaving: 1,
    directGetsIt: false,
    heldAfterTransaction: 0,
  });
});

test("the symptom: old replicas hang or enter twice, headgate's all end with 0", async () => {
  const report = await showSymptom(await stack(), 3);
  expect(report.old[0]).toEqual({ end: "gave up", tries: 12, unlocked: undefined });
  expect(report.leftByOld).toBeGreaterThan(0);
  expect(report.dump.length).toBeGreaterThan(0);
  expect(report.headgate.map(({ status }) => status)).toEqual([0, 0, 0]);
  expect(report.leftByHeadgate).toBe(0);
});

describe("the command", () => {
  async function reproduce(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    const script = join(import.meta.dirname, "../harness/reproduce.ts");
    const child = Bun.spawn([process.execPath, script, ...args], {
      env: { ...process.env, ...env },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    return { status: await child.exited, stdout, stderr };
  }

  test("has a message for each thing that is missing", async () => {
    const nowhere = "postgres://a@127.0.0.1:1/x";
    const cases: readonly [readonly string[], Record<string, string>, string][] = [
      [[], {}, "Say what to reproduce"],
      [["replicas", "--replicas", "1"], {}, "from 2 to 50"],
      [["replicas"], { HEADGATE_BINARY: "/nowhere" }, "npm run build"],
      [["orphan"], { HARNESS_DIRECT_URL: nowhere }, "Set both"],
      [
        ["orphan"],
        { HARNESS_DIRECT_URL: nowhere, HARNESS_POOLED_URL: nowhere },
        "headgate manifest compose",
      ],
    ];
    for (const [args, env, message] of cases) {
      const { status, stderr } = await reproduce(args, env);
      expect([status, stderr]).toEqual([2, expect.stringContaining(message)]);
    }
  });

  test("empties a database that is named only with its name and a flag", async () => {
    const { name, direct, pooled } = await stack();
    await query(direct, "create table precious ()");
    const env = { HARNESS_DIRECT_URL: direct, HARNESS_POOLED_URL: pooled };
    const bare = await reproduce(["replicas"], env);
    expect([bare.status, bare.stderr]).toEqual([2, expect.stringContaining("say --destructive")]);
    const other = await reproduce(["replicas", "--destructive", "--database", "other"], env);
    expect([other.status, other.stderr]).toEqual([2, expect.stringContaining(`is ${name}`)]);
    expect(await tablesOf(direct)).toEqual(["public.precious"]);
    const told = await reproduce(["replicas", "--destructive", "--database", name], env);
    expect([told.status, told.stdout]).toEqual([0, expect.stringContaining("Reproduced.")]);
    expect(await tablesOf(direct)).not.toContain("public.precious");
  });
});
