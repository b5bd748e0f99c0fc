/** Programs that the suite needs and npm does not bring: looked for, installed where that is allowed, or asked for. */
import { spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

interface Program {
  readonly name: string;
  readonly why: string;
  /** The package's name, where it is not the program's. */
  readonly packages?: Readonly<Record<string, string>>;
}

interface PackageManager {
  readonly name: string;
  readonly needsRoot: boolean;
  /** Run in this order; the packages go behind the last. */
  readonly commands: readonly (readonly string[])[];
}

const PROGRAMS: readonly Program[] = [
  { name: "pgbouncer", why: "most tests go through a real pooler" },
  { name: "openssl", why: "it makes the certificates of the TLS tests" },
  {
    name: "ps",
    why: "servers are killed together with their children",
    packages: { "apt-get": "procps", apk: "procps", dnf: "procps-ng" },
  },
];

const PACKAGE_MANAGERS: readonly PackageManager[] = [
  {
    name: "apt-get",
    needsRoot: true,
    commands: [
      ["apt-get", "-qq", "update"],
      ["apt-get", "-qq", "install", "-y", "--no-install-recommends"],
    ],
  },
  { name: "dnf", needsRoot: true, commands: [["dnf", "install", "-y"]] },
  { name: "apk", needsRoot: true, commands: [["apk", "add"]] },
  { name: "brew", needsRoot: false, commands: [["brew", "install"]] },
];

const INSTALL_TIMEOUT_MS = 600_000;

/**
 * Installs what is missing, when this user may, and says so.
 *
 * @returns one line per program that is still missing: what to do about it. Empty when all are there.
 */
export function ensurePrograms(): readonly string[] {
  const missing = PROGRAMS.filter(isMissing);
  const manager = PACKAGE_MANAGERS.find(({ name }) => Bun.which(name) !== null);
  if (missing.length > 0 && manager !== undefined) install(manager, missing);
  return missing.filter(isMissing).map((program) => instruction(program, manager));
}

/** Debian puts servers where only root's PATH leads. */
export function findProgram(name: string): string | null {
  return Bun.which(name, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` });
}

function isMissing({ name }: Program): boolean {
  return findProgram(name) === null;
}

function install(manager: PackageManager, missing: readonly Program[]): void {
  const prefix = rootPrefix(manager);
  if (prefix === undefined) return;
  const packages = missing.map((program) => packageOf(program, manager));
  console.log(`installing ${packages.join(", ")} with ${manager.name}`);
  for (const [i, command] of manager.commands.entries()) {
    const isLast = i === manager.commands.length - 1;
    if (!succeeds([...prefix, ...command, ...(isLast ? packages : [])])) return;
  }
}

/** What makes this user root, if anything does without asking for a password. */
function rootPrefix({ needsRoot }: PackageManager): readonly string[] | undefined {
  if (!needsRoot || process.getuid?.() === 0) return [];
  const canSudo = spawnSync("sudo", ["-n", "true"], { stdio: "ignore" }).status === 0;
  return canSudo ? ["sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"] : undefined;
}

/**
 * What it prints is shown when it fails. It goes to a file, not to a pipe: a service that the package starts would
 * keep the pipe open.
 */
function succeeds([command = "", ...args]: readonly string[]): boolean {
  const folder = mkdtempSync(join(tmpdir(), "headgate-install-"));
  const log = join(folder, "log");
  const file = openSync(log, "w");
  try {
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    const run = spawnSync(command, args, {
      env,
      stdio: ["ignore", file, file],
      timeout: INSTALL_TIMEOUT_MS,
    });
    if (run.status === 0) return true;
    console.log(`${[command, ...args].join(" ")} failed: ${run.error?.message ?? run.status}`);
    console.log(readFileSync(log, "utf8").trimEnd());
    return false;
  } finally {
    closeSync(file);
    rmSync(folder, { recursive: true });
  }
}

function packageOf({ name, packages }: Program, manager: PackageManager): string {
  return packages?.[manager.name] ?? name;
}

function instruction(program: Program, manager: PackageManager | undefined): string {
  const what = `The tests need ${program.name} (${program.why})`;
  if (manager === undefined) return `${what}: install it and put it on the PATH`;
  const command = manager.commands.at(-1)?.join(" ").replace(" -qq", "");
  const sudo = manager.needsRoot && process.getuid?.() !== 0 ? "sudo " : "";
  return `${what}: ${sudo}${command} ${packageOf(program, manager)}`;
}
