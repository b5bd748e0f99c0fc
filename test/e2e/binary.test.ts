/** What the compiled file is and needs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrationFolder } from "../support/folder.ts";
import { BINARY, headgate, withUrl } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { openSubstrate, type PostgresServer, type Substrate } from "../support/substrate.ts";

const ROOT: string = join(import.meta.dirname, "../..");
/** What "static" means here: these, and nothing else, from any glibc of 2.17 or later. */
const LIBRARIES: readonly string[] = ["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"];
const OLDEST_GLIBC = 2.17;

let substrate: Substrate;
let server: PostgresServer;
const folder = mkdtempSync(join(tmpdir(), "headgate-binary-"));

beforeAll(async () => {
  substrate = await openSubstrate();
  server = await substrate.postgres();
}, 120_000);
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
  await substrate.close();
});

test("it links to the C library and nothing else", () => {
  const linked = execFileSync("ldd", [BINARY]).toString().split("\n");
  const names = linked.flatMap((line) => /^\s+(lib\S+) =>/.exec(line)?.[1] ?? []);
  expect(names.sort()).toEqual([...LIBRARIES]);
});

test("it wants no symbol of a glibc later than 2.17", () => {
  const versions = [
    ...readFileSync(BINARY)
      .toString("latin1")
      .matchAll(/\0GLIBC_(2\.\d+)/g),
  ];
  const minors = versions.map(([, version]) => Number(version?.split(".")[1]));
  expect(minors.length).toBeGreaterThan(0);
  expect(Math.max(...minors)).toBeLessThanOrEqual(Number(String(OLDEST_GLIBC).split(".")[1]));
});

test("its help is the README's usage block", async () => {
  const readme = readFileSync(join(ROOT, "README.md"), "utf8");
  const block = /<!-- usage:begin -->\n```text\n([\s\S]*?)```\n<!-- usage:end -->/.exec(
    readme,
  )?.[1];
  expect((await headgate(["--help"])).stdout).toBe(block ?? "no usage block in README.md");
});

test("a build with --migrations carries that folder", async () => {
  const dir = migrationFolder({
    "5_five.sql": "create table five ();",
    "7_seven.sql": "create table seven ();",
  });
  const outfile = join(folder, "own");
  const build = spawnSync(
    process.execPath,
    [".ci/build.ts", "--migrations", dir, "--outfile", outfile],
    {
      cwd: ROOT,
      encoding: "utf8",
    },
  );
  expect(build.stderr).toBe("");
  expect(build.status).toBe(0);
  rmSync(dir, { recursive: true });
  const { url } = await server.createDatabase();
  const options = { ...withUrl(url), binary: outfile };
  expect((await headgate(["probe"], options)).status).toBe(1);
  expect((await headgate(["up"], options)).status).toBe(0);
  expect((await headgate(["probe"], options)).status).toBe(0);
  const rows = await query(url, "select version::int from headgate_migrations order by version");
  expect(rows.map((row) => row["version"])).toEqual([5, 7]);
}, 60_000);

test("a build of an unusable folder fails and names the offenders", () => {
  const dir = migrationFolder({
    "no_number.sql": "select 1",
    "1_a.sql": "select 1",
    "01_b.sql": "select 1",
  });
  const build = spawnSync(
    process.execPath,
    [".ci/build.ts", "--migrations", dir, "--outfile", join(folder, "bad")],
    {
      cwd: ROOT,
      encoding: "utf8",
    },
  );
  expect(build.status).not.toBe(0);
  expect(build.stderr).toContain("no_number.sql");
  expect(build.stderr).toContain("01_b.sql");
}, 60_000);
