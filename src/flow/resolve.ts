/** `resolve`: settles an interrupted row as a person says, through the gate. Writes the ledger only. */
import { HeadgateError } from "../core/error.ts";
import { type Ledger, type LedgerRow, rowsOf } from "../core/ledger.ts";
import { rowToSettle, type Settlement } from "../core/resolve.ts";
import { deleteUnfinished, markApplied } from "../db/resolve-row.ts";
import { type Access, connect, type World, withConnection } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";
import { type GateWish, throughGate } from "./gate-loop.ts";
import { readableName, readSettledLedger } from "./state.ts";
import type { Task } from "./step.ts";

/** What the command line asks of `resolve`. */
export interface ResolveRequest {
  readonly version: number;
  readonly settlement: Settlement;
}

/** What was settled. */
export interface ResolveReport extends ResolveRequest {
  readonly name: string;
  readonly was: LedgerRow["state"];
}

/**
 * Judges the row before the gate, so that a mistake waits for nobody, and again inside it.
 *
 * @throws {HeadgateError} `refused` when the row is missing, applied, or its runner is alive
 */
export async function resolve(
  world: World,
  access: Access,
  wish: GateWish,
  request: ResolveRequest,
): Promise<ResolveReport> {
  const { version, settlement } = request;
  const row = rowToSettle(await readThroughDirect(world, access), version);
  await throughGate(world, access, wish, resolveTask(request));
  world.log("row.resolved", { version, name: row.name, was: row.state, settlement });
  return { ...request, name: row.name, was: row.state };
}

function resolveTask({ version, settlement }: ResolveRequest): Task<LedgerRow> {
  const settle = settlement === "applied" ? markApplied : deleteUnfinished;
  let hasTried = false;
  return {
    decide: async (ledger) => {
      // An answer to COMMIT may have been lost: what this run was about to do counts as its own.
      if (hasTried && isSettled(ledger, version, settlement)) return { kind: "nothing" };
      return { kind: "act", plan: rowToSettle(ledger, version) };
    },
    act: async (connection, place, row) => {
      hasTried = true;
      if (await settle(connection, place, row)) return;
      throw new HeadgateError(`Cannot resolve version ${version}: its row changed meanwhile`, {
        code: "refused",
        hint: 'Look again with "headgate status"',
      });
    },
    commitFailed: (_row, error) => error,
    committed: () => undefined,
    peek: async () => ({ isDone: false, mark: -1 }),
    finish: async () => undefined,
  };
}

function isSettled(ledger: Ledger, version: number, settlement: Settlement): boolean {
  const row = rowsOf(ledger).find((each) => each.version === version);
  return settlement === "applied" ? row?.state === "applied" : row === undefined;
}

function readThroughDirect(world: World, access: Access): Promise<Ledger> {
  const target = access.direct ?? access.main;
  const connection = connect(world, access, target);
  return withConnection(connection, async () =>
    readSettledLedger(connection, await readableName(connection, target, access.ledger)),
  ).catch((error: unknown) => {
    throw world.stop.aborted ? world.stop.reason : unreadableError(error, access.ledger);
  });
}
