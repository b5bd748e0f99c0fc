/** What `up` does inside the gate. */
import type { UpWish } from "../core/decide.ts";
import { HeadgateError } from "../core/error.ts";
import { headState, isReady } from "../core/head.ts";
import { type Ledger, rowsOf, type Tip } from "../core/ledger.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import { decideUpOrResume } from "../core/resume.ts";
import { refuseUnrunnable } from "../core/runnable.ts";
import { noteFrame } from "../db/body.ts";
import { readProgress } from "../db/build-index.ts";
import { readLedger } from "../db/ledger.ts";
import { cancelOrphans } from "../db/liveness.ts";
import type { Run } from "../db/record.ts";
import type { Access, BundleSource, World } from "./access.ts";
import { type Announcer, announcer } from "./announcer.ts";
import type { Applied } from "./apply.ts";
import { applyAll } from "./apply-all.ts";
import { failureOf } from "./body-failure.ts";
import type { Builder } from "./build.ts";
import type { Seeding } from "./seeding.ts";
import { refuseSplitBrain } from "./split-brain.ts";
import { readTipState } from "./state.ts";
import type { Decision, Task } from "./step.ts";

/** What the command line asks of `up`. */
export interface UpRequest extends UpWish {
  /** The migrations are another runner's: head must be there, and nothing is applied. */
  readonly isVerifyOnly: boolean;
  /** All pending migrations in one transaction. */
  readonly isAtomic: boolean;
  /** Cancel statements of runs that are gone instead of waiting for them. */
  readonly cancelsOrphans: boolean;
  readonly lockWaitMs: number;
  /** Of every statement, where the migration does not say. 0: no limit. */
  readonly lockTimeoutMs: number;
  readonly lockId: bigint | undefined;
  readonly reclaimAfterMs?: number | undefined;
}

/** What to do, and in whose name. */
export interface Work {
  readonly request: UpRequest;
  readonly run: Run;
  /** Undefined: nothing is seeded. */
  readonly seeding: Seeding | undefined;
}

/** The task, and what came of it. */
export interface UpTask extends Task<NonEmpty<Migration>> {
  /** What the ledger says this run applied; known when the task is done. */
  applied(): readonly Applied[];
}

/** Applies what is pending, one migration per transaction or all in one. */
export function upTask(world: World, access: Access, source: BundleSource, work: Work): UpTask {
  const { request, run } = work;
  const announce = announcer(world);
  const outside = outsideOf(world, access, source, work);
  let applied: readonly Applied[] = [];
  let last: Ledger | undefined;
  return {
    decide: async (ledger, connection, place) => {
      announce.applied(appliedBy(run, ledger));
      const decision = planUp(await source.load(), ledger, request);
      last = decision.kind === "nothing" ? ledger : undefined;
      if (decision.kind === "wait" && request.cancelsOrphans) {
        const pids = await cancelOrphans(connection, place, decision.row);
        for (const pid of pids) world.log("build.cancelled", { pid });
      }
      return decision;
    },
    outside: async (session, plan, onActing) => {
      const end = await outside(session, plan, onActing);
      if (end === "done") announce.wasSaid(plan[0].version);
      return end;
    },
    act: actOf(world, work, announce),
    commitFailed: (plan, error) => {
      const migration = plan.at(-1) ?? plan[0];
      return failureOf(error, { migration, section: migration.up });
    },
    committed: () => undefined,
    peek: async (connection, { place }) => {
      const { state, tip } = await readTipState(connection, place, source.head);
      const progress = state.kind === "running" ? await readProgress(connection) : "";
      const mark = `${highestOf(tip)} ${progress}`;
      return { isDone: isReady(state, request.policy), mark };
    },
    finish: async (connection, place) => {
      applied = appliedBy(run, last ?? (await readLedger(connection, place)));
      announce.applied(applied);
      await refuseSplitBrain(world, access, source, request);
    },
    applied: () => applied,
  };
}

function actOf(world: World, { request, run }: Work, announce: Announcer): UpTask["act"] {
  const { isAtomic, lockTimeoutMs } = request;
  return async (connection, place, plan, inside) => {
    const frame = inside.frame ?? (await noteFrame(connection));
    const work = { plan, run, frame, isAtomic, lockTimeoutMs, inside, onApplied: announce.applied };
    await applyAll(world, connection, place, work);
  };
}

/** The code for it loads when the first such migration comes. */
function outsideOf(
  world: World,
  access: Access,
  source: BundleSource,
  { request, run }: Work,
): NonNullable<UpTask["outside"]> {
  let builder: Builder | undefined;
  const { lockWaitMs, lockTimeoutMs, cancelsOrphans } = request;
  const isStillNext = async (ledger: Ledger, version: number): Promise<boolean> => {
    const decision = planUp(await source.load(), ledger, request);
    return decision.kind === "outside" && decision.plan[0].version === version;
  };
  return async (session, [migration], onActing) => {
    const { createBuilder } = await import("./build.ts");
    const wish = { run, lockWaitMs, lockTimeoutMs, cancelsOrphans, isStillNext };
    builder ??= createBuilder(world, access, wish);
    return builder.build(session, migration, onActing);
  };
}

function planUp(
  bundle: NonEmpty<Migration>,
  ledger: Ledger,
  request: UpRequest,
): Decision<NonEmpty<Migration>> {
  const decision = decideUpOrResume(bundle, headState(bundle, ledger), request);
  if (decision.kind === "refuse") throw decision.error;
  if (decision.kind === "resume") return { kind: "outside", plan: [decision.migration] };
  if (decision.kind !== "apply") return decision;
  refuseUnrunnable(decision.pending, "up");
  const [next] = decision.pending;
  if (request.isAtomic) refuseAtomic(decision.pending);
  if (!next.options.transaction) return { kind: "outside", plan: [next] };
  return {
    kind: "act",
    plan: [next, ...decision.pending.slice(1, firstOutside(decision.pending))],
  };
}

/** Its index, or how many there are. */
function firstOutside(pending: readonly Migration[]): number {
  const index = pending.findIndex(({ options }) => !options.transaction);
  return index === -1 ? pending.length : index;
}

function refuseAtomic(pending: readonly Migration[]): void {
  const outside = pending.find(({ options }) => !options.transaction);
  if (!outside) return;
  throw new HeadgateError(
    `Cannot apply the pending migrations in one transaction: ${outside.file} runs outside of one`,
    {
      code: "config-invalid",
      hint: `Leave --atomic out, or run up --to ${outside.version} without it first`,
    },
  );
}

function highestOf(tip: Tip): number {
  if (tip.kind === "absent") return -1;
  return (tip.above.at(-1) ?? tip.head ?? tip.below)?.version ?? -1;
}

/** By the ledger's own account: it holds even when the answer to a COMMIT was lost. */
function appliedBy(run: Run, ledger: Ledger): readonly Applied[] {
  return rowsOf(ledger)
    .filter((row) => row.runId === run.id && row.state === "applied")
    .map((row) => ({ version: row.version, name: row.name, durationMs: row.durationMs ?? 0 }));
}
