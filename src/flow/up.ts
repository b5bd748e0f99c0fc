/**
 * `up`: look without the gate; if something is pending, look again inside it and apply. Both looks
 * use the same pure functions, and whoever finds head reached leaves without having locked anything.
 */
import { notReadyError } from "../core/decide.ts";
import { HeadgateError } from "../core/error.ts";
import { isReady, type Policy } from "../core/head.ts";
import type { Connection } from "../ports.ts";
import {
  type Access,
  type BundleSource,
  connectReader,
  type World,
  withConnection,
} from "./access.ts";
import type { Applied } from "./apply.ts";
import { unreadableError } from "./db-trouble.ts";
import type { Lobby } from "./gate-loop.ts";
import type { SeedReport } from "./seeding.ts";
import { readableName, readHeadState, readTipState } from "./state.ts";
import type { UpRequest, Work } from "./up-task.ts";

/** What `up` did. */
export interface UpReport {
  /** `fast`: nothing was left to do, at the first look or after a wait. */
  readonly path: "fast" | "slow" | "skipped";
  /** What this run applied, in order. */
  readonly applied: readonly Applied[];
  /** The bundle's last version, or the one that `--to` named. */
  readonly head: number;
  readonly waitedMs: number;
  /** Undefined: seeding is off, or this database is not to be seeded. */
  readonly seeds: SeedReport | undefined;
}

/**
 * Writes and locks only when something is pending.
 *
 * @throws {HeadgateError} every code that `decideUp` refuses with, `gate-timeout`, `unreachable`,
 *   `migration-failed`, `bundle-invalid`, `privilege-missing`, `seed-failed`.
 */
export async function up(
  world: World,
  access: Access,
  source: BundleSource,
  work: Work,
): Promise<UpReport> {
  const { request } = work;
  const head = request.to ?? source.head.version;
  const report = { applied: [], head, waitedMs: 0, seeds: undefined };
  const seeds = (opened?: Connection): Promise<SeedReport | undefined> =>
    seedBehind(world, access, source, { ...work, opened });
  if (request.isVerifyOnly) {
    const isAtHead = await verify(world, access, source, request.policy);
    const verified = { ...report, head: source.head.version, path: "skipped" } as const;
    return isAtHead ? { ...verified, seeds: await seeds() } : verified;
  }
  const first = await firstLook(world, access, source, work);
  if (first.isDone) {
    if (request.to === undefined) world.log("schema.at-head");
    if (first.isAtHead) return { ...report, path: "fast", seeds: await seeds(first.opened) };
    await first.opened?.close();
    return { ...report, path: "fast" };
  }
  const { slowPath } = await import("./slow-path.ts");
  const lobby = await lobbyOf(world, access, work, first);
  const done = await slowPath(world, access, source, { ...work, lobby });
  return { ...report, ...done, seeds: head < source.head.version ? undefined : await seeds() };
}

/** After the migrations, which stay whatever becomes of it. */
async function seedBehind(
  world: World,
  access: Access,
  source: BundleSource,
  { seeding, request, run, opened }: Work & { readonly opened: Connection | undefined },
): Promise<SeedReport | undefined> {
  if (!seeding) {
    await opened?.close();
    return undefined;
  }
  const { seedAfterUp } = await import("./seed-command.ts");
  const { lockWaitMs, lockId, reclaimAfterMs } = request;
  const mine = { run, lockWaitMs, lockId, reclaimAfterMs };
  const wish = { seeding, request: mine, head: source.head };
  return seedAfterUp(world, access, wish, opened);
}

/** Somebody else migrates: head must be there, and nothing is migrated. False: it is ahead. */
async function verify(
  world: World,
  access: Access,
  source: BundleSource,
  policy: Policy,
): Promise<boolean> {
  const connection = connectReader(world, access);
  const state = await withConnection(connection, async () => {
    const name = await readableName(connection, access.main, access.ledger);
    return (await readHeadState(connection, name, await source.load())).state;
  }).catch((error: unknown) => {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  });
  if (state.kind !== "at-head" && !isReady(state, policy)) throw notReadyError(state, policy);
  world.log("migrations.verified");
  return state.kind === "at-head";
}

interface FirstLook {
  readonly isDone: boolean;
  /** Done, and not because the database is ahead. */
  readonly isAtHead: boolean;
  /** The connection, when the ledger could be read: what comes next may go on asking through it. */
  readonly opened: Connection | undefined;
  readonly waitsFirst: boolean;
}

/** Without the gate. A ledger that cannot be read is for the slow path to settle. */
async function firstLook(
  world: World,
  access: Access,
  source: BundleSource,
  { request, run }: Work,
): Promise<FirstLook> {
  const opened = connectReader(world, access, run.id);
  try {
    return { ...(await lookWithoutGate(opened, access, source, request)), opened };
  } catch (error) {
    await opened.close();
    if (world.stop.aborted) throw world.stop.reason;
    if (error instanceof HeadgateError) throw error;
    world.log("peek.failed", { reason: (error as Error).message });
    return { isDone: false, isAtHead: false, opened: undefined, waitsFirst: false };
  }
}

/** The gate may be on another server's address than the one that was asked. */
async function lobbyOf(
  world: World,
  access: Access,
  { run }: Work,
  { opened, waitsFirst }: FirstLook,
): Promise<Lobby | undefined> {
  if (!opened || !access.direct) return opened && { connection: opened, waitsFirst };
  await opened.close();
  return { connection: connectReader(world, access, run.id, access.direct), waitsFirst };
}

/**
 * The end of the ledger first. Pending migrations are for the gate to look at; any other state is
 * judged from the whole ledger, and refused at once where it must be.
 */
async function lookWithoutGate(
  connection: Connection,
  access: Access,
  source: BundleSource,
  request: UpRequest,
): Promise<Omit<FirstLook, "opened">> {
  const name = await readableName(connection, access.main, access.ledger);
  const { state, tip } = await readTipState(connection, name, source.head);
  if (isReady(state, request.policy)) {
    return { isDone: true, isAtHead: state.kind === "at-head", waitsFirst: false };
  }
  const isPlain = state.kind === "fresh" || state.kind === "behind";
  if (isPlain && request.to === undefined) {
    const waitsFirst = tip.kind === "present" && tip.below?.isRecent === true;
    return { isDone: false, isAtHead: false, waitsFirst };
  }
  const { state: whole } = await readHeadState(connection, name, await source.load());
  const { decideUpOrResume } = await import("../core/resume.ts");
  const decision = decideUpOrResume(await source.load(), whole, request);
  if (decision.kind === "refuse") throw decision.error;
  const isAtHead = whole.kind === "at-head";
  return { isDone: decision.kind === "nothing", isAtHead, waitsFirst: false };
}
