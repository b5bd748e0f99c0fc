/**
 * A real cut: the kernel drops what one client and its server say to each other, and neither is told.
 * A relay cannot show this, because its kernel goes on acknowledging. Needs root and iptables.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";

/** Whether this machine lets us. */
export function canCutNetwork(): boolean {
  return process.platform === "linux" && process.getuid?.() === 0 && iptables("-S", "INPUT");
}

export interface Cut {
  heal(): void;
}

/**
 * @param port The client's own, as `pg_stat_activity` names it. The rules name no other one.
 * @throws {Error} when a rule is refused
 */
export function cutNetwork(port: number): Cut {
  const rules = ["--sport", "--dport"].map(
    (side) => ["INPUT", "-i", "lo", "-p", "tcp", side, String(port), "-j", "DROP"] as const,
  );
  const heal = (): void => {
    for (const rule of rules) iptables("-D", ...rule);
  };
  process.once("exit", heal);
  for (const rule of rules) {
    if (!iptables("-I", ...rule)) throw new Error("iptables refused the rule");
  }
  return { heal };
}

function iptables(...args: readonly string[]): boolean {
  return spawnSync("iptables", ["-w", ...args]).status === 0;
}
