/** A tenth of a processor, as a container with the limit `100m` gets it. Linux, as root. */
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Contender } from "./measure.ts";

const PERIOD_US = 100_000;
const QUOTA_US = 10_000;
const ROOT = "/sys/fs/cgroup";

export interface Quota {
  /** The same command inside; it starts with its share untouched. */
  limit(contender: Contender): Contender;
  close(): void;
}

/** @throws {Error} where this process may not limit others. */
export function openQuota(): Quota {
  const isUnified = existsSync(join(ROOT, "cgroup.controllers"));
  const folder = join(ROOT, isUnified ? "" : "cpu", `headgate-bench-${process.pid}`);
  if (isUnified) writeFileSync(join(ROOT, "cgroup.subtree_control"), "+cpu");
  mkdirSync(folder);
  const close = (): void => rmdirSync(folder);
  try {
    if (isUnified) {
      writeFileSync(join(folder, "cpu.max"), `${QUOTA_US} ${PERIOD_US}`);
    } else {
      writeFileSync(join(folder, "cpu.cfs_period_us"), String(PERIOD_US));
      writeFileSync(join(folder, "cpu.cfs_quota_us"), String(QUOTA_US));
    }
  } catch (error) {
    close();
    throw error;
  }
  return { limit: (contender) => inside(contender, join(folder, "cgroup.procs")), close };
}

function inside({ argv, ...rest }: Contender, list: string): Contender {
  return {
    ...rest,
    argv: ["sh", "-c", 'echo $$ >"$0" && exec "$@"', list, ...argv],
    prepare: async () => {
      await rest.prepare?.();
      await Bun.sleep((2 * PERIOD_US) / 1000);
    },
  };
}
