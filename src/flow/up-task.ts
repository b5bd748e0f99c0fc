/** What `up` does inside the gate. */
import { decideUp, type UpWish } from "../core/decide.ts";
import { HeadgateError } from "../core/error.ts";
import { headState, isReady } from "../core/head.ts";
import { type Ledger, rowsOf, type Tip } from "../core/ledger.ts";
import type { Migration, NonEmpty } from "../core/migration.ts";
import { decideUpOrResume } from "../core/resume.ts";
import { refuseUnrunnable } from "../core/runnable.ts";
import { describeTarget } from "../core/target.ts";
import { noteFrame } from "../db/body.ts";
import { readProgress } from "../db/build-index.ts";
import { readLedger } from "../db/ledger.ts";
import { cancelOrphans } from "../db/liveness.ts";
import type { Run } from "../db/record.ts";
import {
  type Access,
  type BundleSource,
  connectReader,
  type World,
  withConnection,
} from "./access.ts";
import { announcer } from "./announcer.ts";
import { type Applied, applyMigration } from "./apply.ts";
import { failureOf } from "./body-failure.ts";
import type { Builder } from "./build.ts";
import type { Seeding } from "./seeding.ts";
import { readableName, readTipState } from "./state.ts";
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
  let inFlight: readonly Applied[] = [];
  let applied: readonly Applied[] = [];
  return {
    decide: async (ledger, connection, place) => {
      announce.applied(appliedBy(run, ledger));
      const decision = planUp(await source.load(), ledger, request);
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
    act: async (connection, place, plan, inside) => {
      inFlight = [];
      const frame = inside.frame ?? (await noteFrame(connection));
      for (const migration of plan) {
        const commit = migration === plan.at(-1) ? inside.commit : undefined;
        const job = { migration, run, lockTimeoutMs: request.lockTimeoutMs, frame, commit };
        inFlight = [...inFlight, await applyMigration(world, connection, place, job)];
      }
    },
    commitFailed: (plan, error) => {
      const migration = plan.at(-1) ?? plan[0];
      return failureOf(error, { migration, section: migration.up });
    },
    committed: () => announce.applied(inFlight),
    peek: async (connection, { place }) => {
      const { state, tip } = await readTipState(connection, place, source.head);
      const progress = state.kind === "running" ? await readProgress(connection) : "";
      const mark = `${highestOf(tip)} ${progress}`;
      return { isDone: isReady(state, request.policy), mark };
    },
    finish: async (connection, place) => {
      applied = appliedBy(run, await readLedger(connection, place));
      announce.applied(applied);
      if (!access.direct) return;
      const seen = await readThroughMain(world, access);
      refuseSplitBrain(await source.load(), seen, { access, request });
    },
    applied: () => applied,
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
  return { kind: "act", plan: request.isAtomic ? decision.pending : [next] };
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

/** Through the probe's own address, whichever one the work went through. */
function readThroughMain(world: World, access: Access): Promise<Ledger> {
  const connection = connectReader(world, access);
  return withConnection(connection, async () =>
    readLedger(connection, await readableName(connection, access.main, access.ledger)),
  );
}

/** Two addresses that lead to two databases: the migrated one is not the one that pods will ask. */
function refuseSplitBrain(
  bundle: NonEmpty<Migration>,
  ledger: Ledger,
  wish: { readonly access: Access; readonly request: UpRequest },
): void {
  const { access, request } = wish;
  if (!access.direct || decideUp(headState(bundle, ledger), request).kind === "nothing") return;
  throw new HeadgateError(
    `Cannot see the migrated schema where the application looks: migrated ${describeTarget(access.direct)} (${access.direct.source}), but ${describeTarget(access.main)} (${access.main.source}) is not at head`,
    {
      code: "migration-failed",
      hint: "Both addresses must lead to one database: correct one of the two variables",
    },
  );
}
