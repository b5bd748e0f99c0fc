/** `headgate bundle`: an executable that carries other migrations, made by the executable itself. */
import { beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { SEAL_LENGTH } from "../../src/core/cargo.ts";
import { migrationFolder } from "../support/folder.ts";
import { BINARY, eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { query, tablesOf } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();
const work = createScratchFolder("bundle");

const FILES = {
  "5_five.sql": "create table five (id int primary key);",
  "7_seven.sql": "-- migrate:up\ncreate table seven ();\n-- migrate:down\ndrop table seven;\n",
};
const SEEDS = { "a.sql": "insert into five values (5) on conflict do nothing;" };

const failed = (run: Run): string => String(eventOf(run, "command.failed")?.["reason"]);

/** The new executable's path. */
async function bundle(
  name: string,
  files: Readonly<Record<string, string | Uint8Array>>,
  extra: readonly string[] = [],
): Promise<string> {
  const output = join(work, name);
  const migrations = migrationFolder(files);
  const done = await headgate(["bundle", "--migrations", migrations, "-o", output, ...extra]);
  expect(done.stderr).toBe("");
  expect(done.status).toBe(0);
  rmSync(migrations, { recursive: true });
  return output;
}

async function fingerprintOf(binary: string, args: readonly string[] = []): Promise<string> {
  const { stdout } = await headgate(["version", "--json", ...args], { binary });
  return (JSON.parse(stdout) as { bundle: { fingerprint: string } }).bundle.fingerprint;
}

/** The bytes of an executable without its seal and what it carries. */
function codeOf(binary: string, cargoLength: number): Buffer {
  const bytes = readFileSync(binary);
  return bytes.subarray(0, bytes.length - SEAL_LENGTH - cargoLength);
}

test("the new executable carries the folder: up, probe, status and version without it", async () => {
  const seeds = migrationFolder(SEEDS);
  const binary = await bundle("own", FILES, ["--seeds", seeds]);
  rmSync(seeds, { recursive: true });
  expect(statSync(binary).mode & 0o777).toBe(0o755);

  const { url } = await servers.postgres.createDatabase();
  const options = { ...withUrl(url), binary };
  expect((await headgate(["probe"], options)).status).toBe(1);
  expect((await headgate(["plan"], options)).stdout).toContain("create table seven");
  expect((await headgate(["up"], options)).status).toBe(0);
  expect((await headgate(["probe"], options)).status).toBe(0);
  expect((await headgate(["probe", "--require-seeds"], options)).status).toBe(0);
  expect(await query(url, "select id from five")).toEqual([{ id: 5 }]);
  expect((await headgate(["down"], options)).status).toBe(0);
  expect((await headgate(["probe"], options)).status).toBe(1);
  expect(await tablesOf(url)).not.toContain("public.roles");

  const { stdout } = await headgate(["version", "--json"], { binary });
  expect(JSON.parse(stdout)).toMatchObject({ bundle: { head: 7, size: 2, origin: "executable" } });
});

test("its fingerprint is that of the same folder named with --dir, which wins over what is carried", async () => {
  const binary = await bundle("compared", FILES);
  const dir = migrationFolder(FILES);
  const other = migrationFolder({ "1_a.sql": "create table a ();" });
  expect(await fingerprintOf(binary)).toBe(await fingerprintOf(BINARY, ["--dir", dir]));
  expect(await fingerprintOf(binary, ["--dir", other])).toBe(
    await fingerprintOf(BINARY, ["--dir", other]),
  );
});

test("its manifest is for what it carries: it may run by that, and its maker may not", async () => {
  const binary = await bundle("wired", FILES);
  const { stdout } = await headgate(["manifest", "kubernetes"], {
    binary,
    env: { HEADGATE_TIMEOUT: "900ms" },
  });
  expect(stdout).toContain(await fingerprintOf(binary));
  const [, expected = ""] = /HEADGATE_EXPECT_BUNDLE\n\s+value: "?(\w+)/.exec(stdout) ?? [];
  const { url } = await servers.postgres.createDatabase();
  const options = withUrl(url, { HEADGATE_EXPECT_BUNDLE: expected });
  expect(failed(await headgate(["up"], options))).toContain(`was written for ${expected}`);
  expect((await headgate(["up"], { ...options, binary })).status).toBe(0);
});

test("its code is its maker's to the byte, so it is as hardened; a bundle of a bundle replaces the first", async () => {
  const first = await bundle("first", FILES);
  const dir = migrationFolder({ "1_a.sql": "create table a ();" });
  const second = join(work, "second");
  const args = ["bundle", "--migrations", dir, "--output", second];
  expect((await headgate(args, { binary: first })).status).toBe(0);
  const direct = await bundle("direct", { "1_a.sql": "create table a ();" });
  expect(readFileSync(second).equals(readFileSync(direct))).toBe(true);
  const cargo = statSync(second).size - statSync(BINARY).size;
  expect(codeOf(second, cargo).equals(codeOf(BINARY, 0))).toBe(true);
});

describe("nothing is written, and the status is 2,", () => {
  const good = migrationFolder(FILES);
  const bad = (files: Readonly<Record<string, string | Uint8Array>>): readonly string[] => [
    "--migrations",
    migrationFolder(files),
  ];
  const table: readonly [when: string, args: readonly string[], says: string][] = [
    ["without --migrations", [], "bundle needs --migrations"],
    ["for a folder that is not there", ["--migrations", "/nowhere"], "cannot be read"],
    ["for an empty folder", bad({}), "it has no migration"],
    ["for a bad name", bad({ "no_number.sql": "select 1" }), "no_number.sql"],
    ["for one version twice", bad({ "1_a.sql": "", "01_b.sql": "" }), "the same version 1"],
    ["for a text that is not UTF-8", bad({ "1_a.sql": Uint8Array.of(0xff) }), "not UTF-8"],
    [
      "for a refused statement",
      bad({ "1_a.sql": "create table a ();\ncommit;" }),
      "COMMIT is refused",
    ],
    [
      "for a statement that needs transaction:false",
      bad({ "1_a.sql": "create index concurrently i on t (c);" }),
      "transaction:false",
    ],
    [
      "for seeds that may not run",
      ["--migrations", good, "--seeds", migrationFolder({ "s.sql": "commit;" })],
      "COMMIT is refused",
    ],
    [
      "for an empty folder of seeds",
      ["--migrations", good, "--seeds", migrationFolder({})],
      "it has no seed file",
    ],
  ];
  test.each(table)("%s", async (_when, args, says) => {
    const before = readdirSync(work);
    const run = await headgate(["bundle", ...args, "-o", join(work, "never")]);
    expect(run.status).toBe(2);
    expect(failed(run)).toContain(says);
    expect(readdirSync(work)).toEqual(before);
  });

  test("without --output", async () => {
    const run = await headgate(["bundle", "--migrations", good]);
    expect(run.status).toBe(2);
    expect(failed(run)).toContain("bundle needs --output");
  });

  test("in a folder that is not there", async () => {
    const run = await headgate(["bundle", "--migrations", good, "-o", join(work, "no/where")]);
    expect(run.status).toBe(2);
    expect(failed(run)).toContain("ENOENT");
  });

  test("where a file is, unless --force replaces it", async () => {
    const folder = join(work, "taken");
    mkdirSync(folder);
    const output = join(folder, "file");
    writeFileSync(output, "mine");
    const args = ["bundle", "--migrations", good, "-o", output];
    const run = await headgate(args);
    expect(run.status).toBe(2);
    expect(failed(run)).toContain("the file exists");
    expect(readFileSync(output, "utf8")).toBe("mine");
    expect((await headgate([...args, "--force"])).status).toBe(0);
    expect(await fingerprintOf(output)).toBe(await fingerprintOf(BINARY, ["--dir", good]));
    expect(readdirSync(folder)).toEqual(["file"]);
  });
});

/** What may happen to a file, each seen from the end. */
const DAMAGES: readonly [what: string, damage: (file: string, size: number) => void][] = [
  ["lost its last byte", (file, size) => truncateSync(file, size - 1)],
  ["lost its seal", (file, size) => truncateSync(file, size - SEAL_LENGTH)],
  ["lost its seal and a part of what it carries", (file, size) => truncateSync(file, size - 200)],
  ["lost all that it carries", (file) => truncateSync(file, statSync(BINARY).size - SEAL_LENGTH)],
  ["gained a byte", (file) => writeFileSync(file, "\n", { flag: "a" })],
  ["has another byte in a migration", (file, size) => flip(file, size - SEAL_LENGTH - 60)],
  ["has another byte in its seal", (file, size) => flip(file, size - 10)],
  ["has another length in its seal", (file, size) => flip(file, size - 68)],
];

function flip(file: string, at: number): void {
  const handle = openSync(file, "r+");
  const byte = new Uint8Array(1);
  readSync(handle, byte, 0, 1, at);
  writeSync(handle, Uint8Array.of(byte[0] === 0x31 ? 0x32 : 0x31), 0, 1, at);
  closeSync(handle);
}

/** Whether the damaged file says so, and falls back to nothing. */
async function refusesDamage(whole: string, damage: (typeof DAMAGES)[number][1]): Promise<boolean> {
  const binary = join(work, "damaged");
  copyFileSync(whole, binary);
  chmodSync(binary, 0o755);
  damage(binary, statSync(binary).size);
  const { url } = await servers.postgres.createDatabase();
  const runs = await Promise.all(
    ["version", "up", "probe", "status"].map((command) =>
      headgate([command], { ...withUrl(url), binary }),
    ),
  );
  const tables = await tablesOf(url);
  rmSync(binary);
  const says = runs.every(({ stderr, stdout }) => /Cannot read what/.test(stderr) && stdout === "");
  return says && runs.map(({ status }) => status).join() === "2,2,1,2" && tables.length === 0;
}

describe("a damaged executable says so and never runs the default bundle:", () => {
  let whole: string;
  beforeAll(async () => {
    whole = await bundle("whole", FILES);
  });
  test.each(DAMAGES)("it %s", async (_what, damage) => {
    expect(await refusesDamage(whole, damage)).toBe(true);
  });

  const mutants: readonly [what: string, mutation: Mutation, damage: number][] = [
    [
      "takes a missing seal for the default bundle",
      {
        file: "runtime/cargo.ts",
        find: 'if (!seal) throw damaged(file, "its end is missing");',
        replace: 'if (!seal) return { size: 0, digest: "", end };',
      },
      3,
    ],
    [
      "does not look at the digest",
      { file: "runtime/cargo.ts", find: "!== seal.digest", replace: '=== "x"' },
      5,
    ],
  ];
  test.each(mutants)("and a mutant that %s is found out", async (_what, mutation, i) => {
    const mutant = await buildMutant(mutation);
    const output = join(work, "mutant");
    const migrations = migrationFolder(FILES);
    const args = ["bundle", "--migrations", migrations, "-o", output, "--force"];
    expect((await headgate(args, { binary: mutant.binary })).status).toBe(0);
    const damage = DAMAGES[i]?.[1];
    if (!damage) throw new Error("there is no such damage");
    // The mutant's own code ends elsewhere than the shipped binary's.
    const cut = (file: string): void =>
      truncateSync(file, statSync(mutant.binary).size - SEAL_LENGTH);
    expect(await refusesDamage(output, i === 3 ? cut : damage)).toBe(false);
    mutant.remove();
  });
});
