/**
 * Runs a program in an image as a cluster would: read-only, without capabilities, as a given user. In the substrate
 * "containers" an engine does it; in "local" the kernel alone, with a mount namespace and another root, which needs
 * Linux and root. There is no automatic choice, and `kind` says which it was.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createScratchFolder } from "./scratch.ts";

/** A volume that several containers share. */
export interface Mount {
  readonly from: string;
  readonly to: string;
  readonly isWritable?: boolean;
}

export interface ImageRun {
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default 65532. */
  readonly uid?: number;
  readonly mounts?: readonly Mount[];
}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Image {
  /** The first of `args` is the program. */
  run(wish: ImageRun): Ran;
}

export interface ImageRunner {
  readonly kind: "containers" | "local";
  /** False: this user or this system cannot run an image without an engine. */
  readonly canRun: boolean;
  /** Of a folder that holds the root; `containerfile` only counts where an engine is. */
  image(name: string, root: string, containerfile?: string): Image;
}

/** Of the images that an engine has built for this process. */
const tags: string[] = [];
const TIMEOUT_MS = 120_000;
const USER = 65532;

/** @throws {Error} when the substrate's word is unknown */
export function openImageRunner(
  kind: string = process.env["TEST_SUBSTRATE"] ?? "local",
): ImageRunner {
  if (kind === "containers") return { kind, canRun: true, image: engineImage };
  if (kind === "local") {
    const canRun = process.platform === "linux" && process.getuid?.() === 0;
    return { kind, canRun, image: (_name, root) => localImage(root) };
  }
  throw new Error(`Cannot run images in "${kind}": TEST_SUBSTRATE is "local" or "containers"`);
}

function engineImage(name: string, root: string, containerfile?: string): Image {
  const tag = `headgate-test/${name.toLowerCase()}:${process.pid}`;
  const build = containerfile === undefined ? ["-f", "-", root] : ["-f", containerfile, root];
  const input = "FROM scratch\nCOPY . /\n";
  const built = spawnSync("docker", ["build", "-q", "-t", tag, ...build], {
    input,
    encoding: "utf8",
  });
  if (built.status !== 0) throw new Error(`Cannot build ${tag}: ${built.stderr}`);
  tags.push(tag);
  return { run: (wish) => inEngine(tag, wish) };
}

function inEngine(tag: string, { args, env = {}, uid = USER, mounts = [] }: ImageRun): Ran {
  const [program = "", ...others] = args;
  const flags = [
    ...["run", "--rm", "--read-only", "--network", "host", "--entrypoint", program],
    ...["--user", `${uid}:${uid}`, "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    ...Object.entries(env).flatMap(([name, value]) => ["--env", `${name}=${value}`]),
    ...mounts.flatMap(({ from, to, isWritable }) => [
      "-v",
      `${from}:${to}${isWritable ? "" : ":ro"}`,
    ]),
  ];
  return ranOf(
    spawnSync("docker", [...flags, tag, ...others], { encoding: "utf8", timeout: TIMEOUT_MS }),
  );
}

/** The mount points come first, because the root is read-only then. `"$@"` is the program. */
const ENTER = `
set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -t proc proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
eval "$MOUNTS"
mount -o remount,bind,ro "$ROOT"
exec env -i $ENVIRONMENT "$(command -v setpriv)" --no-new-privs "$(command -v chroot)" --userspec="$OWNER:$OWNER" --groups= "$ROOT" "$@"
`;

function localImage(root: string): Image {
  return { run: (wish) => inNamespace(root, wish) };
}

function inNamespace(root: string, { args, env = {}, uid = USER, mounts = [] }: ImageRun): Ran {
  for (const folder of ["dev", "proc", ...mounts.map(({ to }) => to)]) {
    mkdirSync(join(root, folder), { recursive: true });
  }
  const binds = mounts.map(({ from, to, isWritable }) => {
    const place = quote(join(root, to));
    const bind = `mount --bind ${quote(from)} ${place}`;
    return isWritable ? bind : `${bind} && mount -o remount,bind,ro ${place}`;
  });
  const environment = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const shell = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "sh"];
  const [command = "", ...rest] = [...shell, ...args];
  return ranOf(
    spawnSync(command, rest, {
      encoding: "utf8",
      timeout: TIMEOUT_MS,
      env: {
        PATH: `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`,
        ROOT: root,
        OWNER: String(uid),
        MOUNTS: binds.join("\n"),
        ENVIRONMENT: environment.join(" "),
      },
    }),
  );
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function ranOf({ status, stdout, stderr, error }: ReturnType<typeof spawnSync>): Ran {
  if (error) throw error;
  return { status: status ?? -1, stdout: String(stdout), stderr: String(stderr) };
}

/** Removes the images that this process has built. */
export function removeImages(): void {
  if (tags.length > 0) spawnSync("docker", ["rmi", "--force", ...tags.splice(0)]);
}

/** A folder that any user may write, as a cluster's volume is. */
export function openVolume(name: string): string {
  const folder = createScratchFolder(name);
  chmodSync(folder, 0o777);
  return folder;
}
