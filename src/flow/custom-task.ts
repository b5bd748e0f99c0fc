/** Runs the files of `--seeds` in one transaction of the gate, whenever they have changed. */
import type { CustomSeeds, SeedFile } from "../core/custom-seeds.ts";
import { type DbError, isConnectionTrouble, isContention } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import type { Ledger, LedgerName, LedgerPlace } from "../core/ledger.ts";
import { seedState, seedsTable } from "../core/seed-mark.ts";
import { closeBody, openBody, runBody } from "../db/body.ts";
import type { Gate } from "../db/gate.ts";
import { readTenancy } from "../db/place.ts";
import { readSeeds } from "../db/seeds.ts";
import { hasCommitted, readXactId } from "../db/xact.ts";
import type { Connection } from "../ports.ts";
import type { World } from "./access.ts";
import { describeServerError } from "./body-failure.ts";
import { seedError } from "./rbac-act.ts";
import { notKept, recordSeeds } from "./record-seeds.ts";
import type { SeedWork } from "./seeding.ts";
import type { Decision, Sight, Task } from "./step.ts";

/** As for migrations: a file that waits for a lock makes every reader behind it wait too. */
const LOCK_TIMEOUT_MS = 3000;

/** One run's custom seeds. */
export class CustomTask implements Task<CustomSeeds> {
  readonly #world: World;
  readonly #seeds: CustomSeeds;
  readonly #work: Pick<SeedWork, "isSeedable">;
  /** The transaction whose COMMIT has not been answered. */
  #inFlight: string | undefined;
  #files: readonly string[] = [];

  constructor(world: World, seeds: CustomSeeds, work: Pick<SeedWork, "isSeedable">) {
    this.#world = world;
    this.#seeds = seeds;
    this.#work = work;
  }

  /** Without the gate: whether these very files have run. */
  async isDone(connection: Connection, ledger: LedgerName | LedgerPlace): Promise<boolean> {
    const records = await readSeeds(connection, seedsTable(ledger)).catch((error: unknown) => {
      throw seedError(error, "anything");
    });
    return seedState(this.#seeds.mark, records) === "seeded";
  }

  async decide(
    ledger: Ledger,
    connection: Connection,
    place: LedgerPlace,
  ): Promise<Decision<CustomSeeds>> {
    if (!(await this.#work.isSeedable(ledger))) return { kind: "nothing" };
    const { exists } = await readTenancy(connection, seedsTable(place));
    if (exists && (await this.isDone(connection, place))) return { kind: "nothing" };
    if (this.#files.length > 0) throw notKept("the record of what ran");
    return { kind: "act", plan: this.#seeds };
  }

  async act(
    connection: Connection,
    place: LedgerPlace,
    { files, mark }: CustomSeeds,
  ): Promise<void> {
    this.#inFlight = await readXactId(connection);
    for (const file of files) await runFile(connection, file);
    await recordSeeds(connection, place, { marks: [mark], forgets: [] }).catch((error: unknown) => {
      throw seedError(error, "its own record");
    });
  }

  commitFailed(_plan: CustomSeeds, error: DbError): Error {
    return fileError(error, "at COMMIT");
  }

  committed({ files }: CustomSeeds): void {
    this.#inFlight = undefined;
    this.#files = files.map(({ file }) => file);
    for (const file of this.#files) this.#world.log("seed.file-ran", { file });
  }

  async peek(connection: Connection, { place }: Gate): Promise<Sight> {
    return { isDone: await this.isDone(connection, place), mark: 0 };
  }

  /** When the answer to a COMMIT was lost, the server tells whether it was done. */
  async finish(connection: Connection): Promise<void> {
    if (this.#inFlight === undefined) return;
    if (await hasCommitted(connection, this.#inFlight)) this.committed(this.#seeds);
  }

  /** Those that this run committed. */
  files(): readonly string[] {
    return this.#files;
  }
}

async function runFile(connection: Connection, { file, sql }: SeedFile): Promise<void> {
  try {
    const limits = { lockTimeoutMs: LOCK_TIMEOUT_MS, statementTimeoutMs: 0 };
    const frame = await openBody(connection, limits);
    await runBody(connection, sql);
    if (await closeBody(connection, frame)) return;
  } catch (error) {
    throw fileError(error, file, sql);
  }
  throw new HeadgateError(
    `Cannot vouch for ${file}: it ended the transaction that headgate opened`,
    {
      code: "seed-failed",
      hint: "What stood before that is committed. Take the transaction control out of the file and run again",
    },
  );
}

/** What another try may cure stays as it is. */
function fileError(error: unknown, where: string, sql = ""): Error {
  if (!(error instanceof Error) || error.name !== "DbError") return error as Error;
  if (isContention(error) || isConnectionTrouble(error)) return error;
  const source = { migration: { file: where, text: sql }, section: { sql, start: 0 } };
  const text = describeServerError(error as DbError, source);
  return new HeadgateError(`Cannot seed from ${where}: ${text}`, {
    code: "seed-failed",
    hint: "Nothing of the folder was written; migrations stay. Correct the file, or the data it met, and run again",
    cause: error,
  });
}
