/** The engine's own command line, and images with the binary under test in them. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
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

/** On the pooler's image, which has a shell; nothing is pulled. */
export function buildHeadgateImages(): void {
  const context = mkdtempSync(join(tmpdir(), "headgate-image-"));
  try {
    copyFileSync(BINARY, join(context, "headgate"));
    const listing = execFileSync("ldd", [BINARY], { encoding: "utf8" });
    for (const [, path = ""] of listing.matchAll(/(\/\S+) \(0x/g)) {
      mkdirSync(dirname(join(context, "root", path)), { recursive: true });
      copyFileSync(path, join(context, "root", path));
    }
    const base = ["FROM headgate-test/pgbouncer:1", "COPY root/ /", "COPY headgate /headgate"];
    build(context, HEADGATE_IMAGE, [...base, "USER 65532:65532", 'ENTRYPOINT ["/headgate"]']);
    build(context, APP_IMAGE, [`FROM ${HEADGATE_IMAGE}`, 'ENTRYPOINT ["sleep"]', 'CMD ["3600"]']);
  } finally {
    rmSync(context, { recursive: true });
  }
}

function build(context: string, tag: string, lines: readonly string[]): void {
  const file = join(context, "Dockerfile");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const env = { ...process.env, DOCKER_BUILDKIT: "0" };
  execFileSync("docker", ["build", "--quiet", "--tag", tag, context], { env, stdio: "pipe" });
}
