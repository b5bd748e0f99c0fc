/** The engine's own command line, and images with the binary under test in them. */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { ROOT } from "../../.ci/compile.ts";
import { STAGE } from "../../.ci/image.ts";
import { BINARY } from "./headgate.ts";

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs to its end; a status that is not 0 is an answer. */
export async function docker(...args: readonly string[]): Promise<Ended> {
  return run(["docker", ...args]);
}

/** As `docker`, for any program. */
export async function run(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = Bun.spawn([...command], {
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  return { status: await child.exited, stdout, stderr };
}

/** headgate alone, and an application that sleeps beside a copy of it. */
export const HEADGATE_IMAGE = "headgate-test/headgate:1";
export const APP_IMAGE = "headgate-test/app:1";
/** The application: on the pooler's image, which has a shell; nothing is pulled. */
const APP = 'FROM headgate-test/pgbouncer:1\nCOPY . /\nENTRYPOINT ["sleep"]\nCMD ["3600"]\n';

const ENV = { ...process.env, DOCKER_BUILDKIT: "0" };

export function buildHeadgateImages(): void {
  buildImage(BINARY, HEADGATE_IMAGE);
  const args = ["build", "--quiet", "--tag", APP_IMAGE, "--file", "-", STAGE];
  execFileSync("docker", args, { env: ENV, input: APP, stdio: "pipe" });
}

/** headgate's image, as `npm run image` makes it. */
export function buildImage(binary: string, tag: string): void {
  const args = [".ci/image.ts", "--binary", binary, "--tag", tag];
  execFileSync(process.execPath, args, { cwd: ROOT, env: ENV, stdio: "pipe" });
}
