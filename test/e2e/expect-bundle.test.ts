/** Job and pods of two images: named as such, at once, by whichever of them is not the manifest's. */
import { expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { buildMutant } from "../support/mutant.ts";
import { tablesOf } from "../support/query.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();

const dir = migrationFolder({ "1_a.sql": "create table a ();" });
const grown = migrationFolder({ "1_a.sql": "create table a ();", "2_b.sql": "select 1" });

async function fingerprintOf(folder: string): Promise<string> {
  const { stdout } = await headgate(["version", "--json", "--dir", folder]);
  return (JSON.parse(stdout) as { bundle: { fingerprint: string } }).bundle.fingerprint;
}

test("a Job with an older image than the manifest's pods refuses to migrate, and pods say so too", async () => {
  const { url } = await servers.postgres.createDatabase();
  const [old, wanted] = await Promise.all([fingerprintOf(dir), fingerprintOf(grown)]);
  const env = { HEADGATE_EXPECT_BUNDLE: wanted.slice(0, 12) };
  const run = (...args: readonly string[]): Promise<Run> => headgate(args, withUrl(url, env));
  for (const [command, status] of [
    ["up", 2],
    ["wait", 2],
    ["probe", 1],
  ] as const) {
    const refused = await run(command, "--dir", dir);
    expect(refused.status).toBe(status);
    const reason = String(refused.events.at(-1)?.["reason"]);
    expect(reason).toContain(`it is ${old.slice(0, 12)} (head 1)`);
    expect(reason).toContain(`written for ${wanted.slice(0, 12)}`);
  }
  expect(await tablesOf(url)).toEqual([]);
  expect((await run("up", "--dir", grown)).status).toBe(0);
  expect((await run("probe", "--dir", grown)).status).toBe(0);
});

test("without an expectation both sides print head and fingerprint, to be compared", async () => {
  const { url } = await servers.postgres.createDatabase();
  const [old, wanted] = await Promise.all([fingerprintOf(dir), fingerprintOf(grown)]);
  const job = await headgate(["up", "--dir", dir], withUrl(url));
  expect(eventOf(job, "database.ready")).toMatchObject({ head: 1, bundle: old.slice(0, 12) });
  const pod = await headgate(["probe", "--dir", grown], withUrl(url));
  expect(eventOf(pod, "probe.not-ready")).toMatchObject({
    head: 2,
    bundle: wanted.slice(0, 12),
    reason: "behind: the database is at 1, head is version 2",
  });
});

test("goes red without the check: the wrong Job would have migrated", async () => {
  const { url } = await servers.postgres.createDatabase();
  const mutant = await buildMutant({
    file: "flow/expect-bundle.ts",
    find: "if (expected === undefined ||",
    replace: "if (true ||",
  });
  const options = withUrl(url, { HEADGATE_EXPECT_BUNDLE: "0".repeat(12) });
  const run = await headgate(["up", "--dir", dir], { ...options, binary: mutant.binary });
  mutant.remove();
  expect(run.status).toBe(0);
});
