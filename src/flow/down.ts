/** `down`: reverts the last applied migrations, newest first, each in its own transaction. */
import { notReadyError } from "../core/decide.ts";
import { HeadgateError } from "../core/error.ts";
import { headState } from "../core/head.ts";
import { type Ledger, rowsOf } from "../core/ledger.ts";
import type { Migration, NonEmpty, Section } from "../core/migration.ts";
import { refuseUnrunnable } from "../core/runnable.ts";
import type { Run } from "../db/record.ts";
import { hasCommitted } from "../db/xact.ts";
import { type Access, connectReader, type World, withConnection } from "./access.ts";
import {
  type Applied,
  BodyCommitted,
  failureOf,
  type Job,
  type Reverted,
  revertMigration,
} from "./apply.ts";
import { unreadableError } from "./db-trouble.ts";
import { throughGate } from "./gate-loop.ts";
import { leaveFailedRow } from "./leave-failed-row.ts";
import { readableName, readSettledLedger } from "./state.ts";
import type { Task } from "./step.ts";

/** What the command line asks of `down`. */
export interface DownRequest {
  /** How many, from the newest. */
  readonly count: number;
  readonly lockWaitMs: number;
  /** Of every statement, where the migration does not say. 0: no limit. */
  readonly lockTimeoutMs: number;
  readonly lockId: bigint | undefined;
  readonly reclaimAfterMs?: number | undefined;
}

/** What `down` did. */
export interface DownReport {
  /** What this run reverted, newest first. */
  readonly reverted: readonly Applied[];
  /** The highest version that is left, if any. */
  readonly at: number | undefined;
}

/**
 * Which migrations are reverted is settled before the gate; a second `down` of the same head finds
 * them gone and reverts nothing more.
 *
 * @throws {HeadgateError} `bundle-invalid` when one of them has no down part, before anything runs.
 */
export async function down(
  world: World,
  access: Access,
  bundle: NonEmpty<Migration>,
  work: { readonly request: DownRequest; readonly run: Run },
): Promise<DownReport> {
  const { request, run } = work;
  const { lockTimeoutMs } = request;
  const jobs = planDown(bundle, await readThroughMain(world, access), request.count);
  const tally: Tally = { reverted: [], inFlight: undefined };
  let at: number | undefined;
  const task: Task<Job> = {
    decide: async (ledger, connection) => {
      const last = tally.inFlight?.xactId;
      if (last !== undefined && (await hasCommitted(connection, last))) count(world, tally);
      refuseUnready(bundle, ledger);
      const highest = rowsOf(ledger).at(-1);
      at = highest?.version;
      const plan = jobs.find((job) => job.migration.version === highest?.version);
      return plan ? { kind: "act", plan } : { kind: "nothing" };
    },
    act: async (connection, place, job) => {
      const work = { ...job, lockTimeoutMs };
      tally.inFlight = await revertMigration(world, connection, place, work);
    },
    commitFailed: (job, error) => failureOf(error, job),
    committed: () => count(world, tally),
    peek: async () => ({ isDone: false, mark: -1 }),
    finish: async () => undefined,
  };
  if (jobs.length > 0) {
    const wish = { ...request, foreignKey: request.lockId, runId: run.id };
    await throughGate(world, access, wish, task).catch(async (error: unknown) => {
      if (!(error instanceof BodyCommitted)) throw error;
      throw await leaveFailedRow(world, access, wish, { run, error, found: "applied" });
    });
  }
  return { reverted: tally.reverted, at };
}

interface Tally {
  readonly reverted: Applied[];
  /** Its COMMIT is sent, and its answer may be lost. */
  inFlight: Reverted | undefined;
}

function count(world: World, tally: Tally): void {
  const { inFlight } = tally;
  if (!inFlight) return;
  tally.inFlight = undefined;
  tally.reverted.push(inFlight);
  world.log("migration.reverted", { version: inFlight.version, name: inFlight.name });
}

/** The newest `count` of the applied ones, newest first. */
function planDown(bundle: NonEmpty<Migration>, ledger: Ledger, count: number): readonly Job[] {
  refuseUnready(bundle, ledger);
  const applied = new Set(rowsOf(ledger).map((row) => row.version));
  const chosen = bundle
    .filter((m) => applied.has(m.version))
    .slice(-count)
    .reverse();
  refuseUnrunnable(chosen, "down");
  return chosen.map((migration) => ({ migration, section: migration.down as Section }));
}

/** Reverting needs a ledger that is ours: a prefix of the bundle, or all of it. */
function refuseUnready(bundle: NonEmpty<Migration>, ledger: Ledger): void {
  const state = headState(bundle, ledger);
  if (state.kind === "at-head" || state.kind === "behind" || state.kind === "fresh") return;
  if (state.kind !== "ahead") throw notReadyError(state, "at-least");
  throw new HeadgateError(
    `Cannot revert: the database has newer versions that this bundle does not, up to ${state.extra.at(-1)?.version}`,
    { code: "ahead", hint: "Revert those first, with the binary that applied them" },
  );
}

function readThroughMain(world: World, access: Access): Promise<Ledger> {
  const connection = connectReader(world, access);
  return withConnection(connection, async () =>
    readSettledLedger(connection, await readableName(connection, access.main, access.ledger)),
  ).catch((error: unknown) => {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  });
}
