/**
 * A migration that runs outside a transaction. Nothing makes its effect and its row one, so the row
 * says what is intended before, and what came of it after; in between a signal shows that its
 * runner lives. Whoever finds the row and no such signal takes it over, if that can be made safe.
 */
import { type BuildStatement, buildStatements, isRepeatable } from "../core/build-step.ts";
import { DbError, isConnectionTrouble, isContention } from "../core/db-error.ts";
import type { Ledger } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import { recordBuildFailed, recordStatement } from "../db/build-row.ts";
import type { Run } from "../db/record.ts";
import type { Connection } from "../ports.ts";
import { type Access, connect, type World } from "./access.ts";
import { type Claim, type ClaimWish, claimBuild, finishBuild } from "./build-claim.ts";
import { buildFailed, failureText, orStopped, refuseSession } from "./build-failure.ts";
import { runStatement } from "./build-index.ts";
import { againAfterQueue, QueueLeft } from "./build-queue.ts";
import { openLease, openLock, type Signal, type SignalWish } from "./build-signal.ts";
import type { Queue } from "./queue-watch.ts";
import type { Session } from "./session.ts";

/** `busy`: another run is at work. `moved`: the ledger is not as it was; look again. */
export type BuildEnd = "done" | "busy" | "moved";

/** Runs such migrations for one command. */
export interface Builder {
  /** @param onActing Called when the row is this run's. */
  build(session: Session, migration: Migration, onActing: () => void): Promise<BuildEnd>;
}

/** In whose name, and how patiently. */
export interface BuildWork {
  readonly run: Run;
  readonly lockWaitMs: number;
  /** Of every statement, where the migration does not say. 0: no limit. */
  readonly lockTimeoutMs: number;
  readonly cancelsOrphans: boolean;
  /** Inside the gate: is this version still what comes next? */
  readonly isStillNext: (ledger: Ledger, version: number) => Promise<boolean>;
}

interface Build extends ClaimWish {
  readonly world: World;
  readonly work: BuildWork;
  readonly signal: Signal;
  readonly statements: readonly BuildStatement[];
  /** A new connection to where the statements run. */
  readonly open: () => Connection;
}

const REPORT_EVERY_MS = 10_000;

/** Remembers that a pool was crowded, so that only the first migration pays for finding out. */
export function createBuilder(world: World, access: Access, work: BuildWork): Builder {
  let isCrowded = false;
  const open = async (wish: SignalWish): Promise<Signal | "busy"> => {
    const opened = isCrowded ? "crowded" : await openLock(wish);
    if (opened !== "crowded") return opened;
    isCrowded = true;
    return openLease(wish);
  };
  return {
    build: async (session, migration, onActing) => {
      const { connection } = session;
      const gate = await session.gate();
      const { run } = work;
      await refuseSession(connection, access, migration);
      const signal = await open({ world, access, gate, runId: run.id, work: connection });
      if (signal === "busy") return "busy";
      const isStillNext = (ledger: Ledger): Promise<boolean> =>
        work.isStillNext(ledger, migration.version);
      try {
        const statements = buildStatements(migration.up);
        const claim = { connection, gate, migration, run, isStillNext };
        const again = (): Connection =>
          connect(world, access, access.direct ?? access.main, run.id);
        const build = { world, work, signal, statements, open: again, ...claim };
        return await claimAndRun(build, onActing);
      } finally {
        await signal.stop();
      }
    },
  };
}

async function claimAndRun(build: Build, onActing: () => void): Promise<BuildEnd> {
  const { world, migration, signal } = build;
  const claim = await claimBuild(world, build, signal);
  if (typeof claim === "string") return claim;
  signal.claimed(migration.version);
  onActing();
  announce(build, claim);
  const isOurs = await runStatements(build, claim);
  const durationMs = isOurs ? await finishBuild(build) : undefined;
  const fields = { version: migration.version, name: migration.name };
  if (durationMs === undefined) {
    world.log("build.superseded", fields);
    return "moved";
  }
  world.log("migration.applied", { ...fields, duration_ms: durationMs });
  return "done";
}

function announce({ world, migration, signal }: Build, { from, done }: Claim): void {
  const fields = { version: migration.version, name: migration.name };
  world.log("migration.started", fields);
  if (signal.leaseMs !== undefined) {
    world.log("build.leased", { ...fields, lease_ms: signal.leaseMs });
  }
  if (from)
    world.log("build.taken-over", { ...fields, from_run: from.runId, statements_done: done });
}

/** False: the row is another run's by now. */
async function runStatements(build: Build, { from, done }: Claim): Promise<boolean> {
  const { world, connection, gate, migration, run, signal, statements } = build;
  const startMs = world.clock.nowMs();
  let at = done;
  const quiet = world.clock.every(REPORT_EVERY_MS, () => {
    const elapsedMs = Math.round(world.clock.nowMs() - startMs);
    const { version, name } = migration;
    world.log("migration.running", { version, name, statement: at + 1, elapsed_ms: elapsedMs });
  });
  try {
    for (; at < statements.length; at += 1) {
      const isRepeated = from !== undefined && at === done;
      if (!(await runOne(build, at, isRepeated))) return false;
      const entry = { version: migration.version, runId: run.id, leaseMs: signal.leaseMs };
      if (!(await recordStatement(connection, gate.place, { ...entry, done: at + 1 })))
        return false;
    }
    return true;
  } finally {
    quiet();
  }
}

/** False: the row is another run's. */
async function runOne(build: Build, index: number, isRepeated: boolean): Promise<boolean> {
  const { world, connection, gate, migration, run, statements } = build;
  const statement = statements[index];
  if (!statement) return true;
  try {
    await runWatched(build, statement, { index, isRepeated });
    return true;
  } catch (thrown) {
    const failed = { migration, statement, index, count: statements.length };
    const error = verdictOf(orStopped(thrown, world.stop, failed), isRepeatable(statement.step));
    const entry = { version: migration.version, runId: run.id, error: failureText(error, failed) };
    if (!(await recordBuildFailed(connection, gate.place, entry))) return false;
    throw buildFailed(error, failed);
  }
}

/**
 * The error that the migration has failed with. One that another try may cure is thrown as it is;
 * what may not be repeated has no other try, so its row must not stay `running`.
 */
function verdictOf(thrown: unknown, mayRepeat: boolean): DbError {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  const error = !mayRepeat && cause instanceof QueueLeft ? cause : thrown;
  if (!(error instanceof DbError) || isConnectionTrouble(error)) throw error;
  if (mayRepeat && isContention(error)) throw error;
  return error;
}

async function runWatched(
  { world, work, connection, migration, run, open }: Build,
  statement: BuildStatement,
  { index, isRepeated }: { readonly index: number; readonly isRepeated: boolean },
): Promise<void> {
  const { lockWaitMs, cancelsOrphans } = work;
  const { step, isAtomic } = statement;
  const queue: Queue = {
    world,
    runId: run.id,
    open,
    lockTimeoutMs: migration.options.lockTimeoutMs ?? work.lockTimeoutMs,
    mayCancel: isAtomic || isRepeatable(step),
    lockWaitMs,
    fields: { version: migration.version, name: migration.name, statement: index + 1 },
  };
  await againAfterQueue(queue, connection, (tries) => {
    // What a cancelled REINDEX left is cleared away; an index is looked at in any case.
    const isAgain = isRepeated || (tries > 0 && step.kind === "reindex");
    const limits = { isRepeated: isAgain, lockWaitMs, cancelsOrphans };
    return runStatement({ world, connection, statement, queue, ...limits });
  });
}
