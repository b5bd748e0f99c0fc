/**
 * PgBouncer as the next Debian has it, beside the system's: its package and the libraries around it
 * are downloaded by apt with lists and state of its own, unpacked, and started by their own loader.
 * Nothing of the machine changes.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createScratchFolder } from "./scratch.ts";
import type { PgbouncerProgram } from "./substrate.ts";

const SUITE = "trixie";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
const APT_TIMEOUT_MS = 90_000;

/** The program, and every library that it loads. */
const PACKAGES: readonly string[] = [
  "pgbouncer",
  "libc6",
  "libcares2",
  "libevent-2.1-7t64",
  "libssl3t64",
  "libzstd1",
  "libpam0g",
  "libaudit1",
  "libcap-ng0",
  "libsystemd0",
  "libcap2",
];

/** The program with its version, or why there is none here. */
export type NewerPgbouncer =
  | { readonly program: PgbouncerProgram; readonly version: string }
  | { readonly problem: string };

/** Takes some seconds and 17 MB of downloads. */
export async function fetchNewerPgbouncer(): Promise<NewerPgbouncer> {
  if (!existsSync(KEYRING)) return { problem: `no ${KEYRING}: this is no Debian` };
  const archive = archiveOfThisMachine();
  if (archive === undefined) return { problem: "apt knows no archive of Debian here" };
  const folder = createScratchFolder("newer-pgbouncer");
  const apt = writeAptConfig(folder, archive);
  for (const args of [["update"], ["download", ...PACKAGES]]) {
    const problem = failureOf("apt-get", args, { cwd: folder, env: { APT_CONFIG: apt } });
    if (problem !== undefined) return { problem };
  }
  const root = join(folder, "root");
  for await (const deb of new Bun.Glob("*.deb").scan({ cwd: folder, absolute: true })) {
    const problem = failureOf("dpkg-deb", ["--extract", deb, root], { cwd: folder, env: {} });
    if (problem !== undefined) return { problem };
  }
  return describe(await programIn(root));
}

/** Where this machine's own packages come from. */
function archiveOfThisMachine(): string | undefined {
  const asked = ["indextargets", "--format", "$(SITE)"];
  const { stdout } = spawnSync("apt-get", asked, { encoding: "utf8", timeout: APT_TIMEOUT_MS });
  return stdout?.split("\n").find((site) => /\/debian\/?$/.test(site));
}

function writeAptConfig(folder: string, archive: string): string {
  for (const each of ["lists/partial", "archives/partial"]) {
    mkdirSync(join(folder, each), { recursive: true });
  }
  const sources = join(folder, "sources.list");
  writeFileSync(sources, `deb [signed-by=${KEYRING}] ${archive} ${SUITE} main\n`);
  writeFileSync(join(folder, "status"), "");
  const config = join(folder, "apt.conf");
  const settings = {
    "Dir::State": folder,
    "Dir::State::lists": join(folder, "lists"),
    "Dir::State::status": join(folder, "status"),
    "Dir::Cache": folder,
    "Dir::Etc::sourcelist": sources,
    "Dir::Etc::sourceparts": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "Acquire::Languages": "none",
    // Under root apt would download as a user who cannot write here.
    "APT::Sandbox::User": "root",
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`);
  writeFileSync(config, lines.join(""));
  return config;
}

/** Undefined: it went well. */
function failureOf(
  command: string,
  args: readonly string[],
  { cwd, env }: { readonly cwd: string; readonly env: Readonly<Record<string, string>> },
): string | undefined {
  const { status, stderr, error } = spawnSync(command, [...args], {
    cwd,
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: APT_TIMEOUT_MS,
  });
  if (status === 0) return undefined;
  const said = error?.message ?? stderr.trim().split("\n").at(-1);
  return `${command} ${args[0]} failed: ${said}`;
}

/** Through the loader that came along: the system's own is older than the program. */
async function programIn(root: string): Promise<PgbouncerProgram> {
  const find = async (pattern: string): Promise<string> => {
    for await (const path of new Bun.Glob(pattern).scan({ cwd: root, absolute: true })) return path;
    throw new Error(`Cannot find ${pattern} in the packages of ${SUITE}`);
  };
  const libraries = join(await find("usr/lib/*/libc.so.6"), "..");
  const program = join(root, "usr/sbin/pgbouncer");
  const command = await find("usr/lib/*/ld-linux-*.so.*");
  return { command, args: ["--library-path", libraries, program] };
}

function describe(program: PgbouncerProgram): NewerPgbouncer {
  const { stdout } = spawnSync(program.command, [...program.args, "--version"], {
    encoding: "utf8",
  });
  const version = /PgBouncer (\d+(?:\.\d+)+)/.exec(stdout ?? "")?.[1];
  return version === undefined ? { problem: "it does not start" } : { program, version };
}
