/** A disk that is soon full: a file system of its own in memory. Needs root, and a server of this machine. */
import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createScratchFolder, SERVER_IDENTITY } from "./scratch.ts";

/** A folder for the servers' user, unmounted when this process ends. Undefined: this machine does not let us. */
export function mountSmallDisk(megabytes: number): string | undefined {
  const { uid, gid } = SERVER_IDENTITY;
  if (process.platform !== "linux" || uid === undefined || gid === undefined) return undefined;
  const mounted = join(createScratchFolder("disk"), "mounted");
  mkdirSync(mounted);
  const args = ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", mounted];
  if (spawnSync("mount", args).status !== 0) return undefined;
  const folder = join(mounted, "data");
  mkdirSync(folder);
  chownSync(mounted, uid, gid);
  chownSync(folder, uid, gid);
  return folder;
}
