/**
 * The one temporary folder of this process, and the shell that empties it.
 *
 * `bun test` runs no `process.on("exit")` hook, and no hook survives SIGKILL. So the clean-up waits in another
 * process: a shell in its own session reads a pipe whose other end only we hold. However this process ends, the
 * pipe closes; then the shell kills what is left and removes the folder.
 */
import { spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** PostgreSQL and PgBouncer refuse to run as root, so under root every server runs as "nobody". */
export const SERVER_IDENTITY: { readonly uid?: number; readonly gid?: number } =
  process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};

/**
 * Stopped first, because a running postmaster could fork while its children are listed. Line 7 of
 * `postmaster.pid` names a System V segment that only a clean shutdown gives back. `rm` is repeated, because a
 * process that is just dying can still write a file below it.
 */
const REAPER = `
read -r _
for file in "$1"/*/pid; do
  [ -s "$file" ] || continue
  read -r pid <"$file"
  kill -STOP "$pid" || continue
  kill -KILL "$pid" $(ps -A -o pid= -o ppid= | awk -v parent="$pid" '$2 == parent { print $1 }')
done
for file in "$1"/*/data/postmaster.pid; do
  [ -s "$file" ] && ipcrm -m "$(awk 'NR == 7 { print $2 }' "$file")"
done
for file in "$1"/*/containers; do
  [ -s "$file" ] && xargs docker rm --force --volumes <"$file"
done
for file in "$1"/*/network; do
  [ -s "$file" ] && xargs docker network rm <"$file"
done
for mount in "$1"/*/mounted; do
  [ -d "$mount" ] && umount -l "$mount"
done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`;

let root: string | undefined;
let folders = 0;

function scratchRoot(): string {
  if (root !== undefined) return root;
  root = mkdtempSync(join(tmpdir(), "headgate-"));
  chmodSync(root, 0o711); // the servers' user must get through it, and needs no list of it
  const stdio = ["pipe", "ignore", "ignore"] as const;
  const reaper = spawn("sh", ["-c", REAPER, "sh", root], { detached: true, stdio: [...stdio] });
  reaper.unref();
  return root;
}

/**
 * A new, empty folder that belongs to the servers' user. When this process ends, the folder goes, and before it what
 * it names: the process in its file `pid`, the containers in `containers`, the container network in `network`, the file system in `mounted/`.
 */
export function createScratchFolder(label: string): string {
  folders += 1;
  const folder = join(scratchRoot(), `${label}-${folders}`);
  mkdirSync(folder, { mode: 0o700 });
  giveToServer(folder);
  return folder;
}

/** Writes a file that only the servers' user can read, as PostgreSQL demands of a private key. */
export function writeServerFile(path: string, content: string | Uint8Array): void {
  writeFileSync(path, content, { mode: 0o600 });
  giveToServer(path);
}

function giveToServer(path: string): void {
  const { uid, gid } = SERVER_IDENTITY;
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}
