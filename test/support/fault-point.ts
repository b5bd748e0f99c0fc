/**
 * A place where a test build stops, so that a test can do harm exactly there. No shipped file knows
 * of it: `fault-build.ts` puts the calls into a build of its own.
 */
import { existsSync, writeFileSync } from "node:fs";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 10;
let passages = 0;

/**
 * Stops at the passage that HEADGATE_FAULT names, as `name` or `name:N`: creates the file that
 * HEADGATE_FAULT_FILE names and goes on when somebody has removed it.
 */
export async function faultPoint(name: string): Promise<void> {
  const [wanted, passage = "1"] = (process.env["HEADGATE_FAULT"] ?? "").split(":");
  if (name !== wanted) return;
  passages += 1;
  if (passages !== Number(passage)) return;
  const marker = process.env["HEADGATE_FAULT_FILE"] ?? "";
  writeFileSync(marker, name);
  while (existsSync(marker)) await sleep(POLL_MS);
}
