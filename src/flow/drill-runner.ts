/** One runner of a drill: `up`, with the drill's own migrations and the drill's own ledger. */
import { drillBundle } from "../core/drill.ts";
import type { Scratch } from "../core/drill-scratch.ts";
import { headOf } from "../core/head.ts";
import type { Run } from "../db/record.ts";
import type { Access, World } from "./access.ts";
import { drillAccess } from "./drill-route.ts";
import { up } from "./up.ts";

/** A drill is over long before: this only bounds a runner whose drill went wrong. */
const LOCK_WAIT_MS = 30_000;
const LOCK_TIMEOUT_MS = 3000;

/** Writes to the scratch place and nowhere else. @throws {HeadgateError} whatever `up` throws */
export async function drillRunner(
  world: World,
  access: Access,
  scratch: Scratch,
  run: Run,
): Promise<void> {
  const bundle = drillBundle(scratch);
  const request = {
    policy: "at-least",
    to: undefined,
    isVerifyOnly: false,
    isAtomic: false,
    cancelsOrphans: false,
    lockWaitMs: LOCK_WAIT_MS,
    lockTimeoutMs: LOCK_TIMEOUT_MS,
    lockId: undefined,
  } as const;
  const source = { head: headOf(bundle), load: async () => bundle };
  await up(world, drillAccess(access, scratch), source, { request, run, seeding: undefined });
}
