/** After a body that committed: a row that stops every runner, because nothing can be undone. */
import { HeadgateError } from "../core/error.ts";
import { rowsOf } from "../core/ledger.ts";
import type { Migration } from "../core/migration.ts";
import { resolveCommand } from "../core/resolve.ts";
import { type Run, recordFailed } from "../db/record.ts";
import type { Access, World } from "./access.ts";
import type { BodyCommitted } from "./apply.ts";
import { type GateWish, throughGate } from "./gate-loop.ts";

/**
 * Writes the row through the gate, unless somebody settled it first: a row that is not as the run
 * found it stays. @returns The error for the person who must look.
 */
export async function leaveFailedRow(
  world: World,
  access: Access,
  wish: GateWish,
  work: {
    readonly run: Run;
    readonly error: BodyCommitted;
    readonly found: "absent" | "applied";
  },
): Promise<HeadgateError> {
  const { migration } = work.error;
  const reason = "its text ended the transaction that headgate opened";
  await throughGate<Migration>(world, access, wish, {
    decide: async (ledger) => {
      const row = rowsOf(ledger).find(({ version }) => version === migration.version);
      const isAsFound = (row?.state ?? "absent") === work.found;
      return isAsFound ? { kind: "act", plan: migration } : { kind: "nothing" };
    },
    act: (connection, place) =>
      recordFailed(connection, place, { migration, run: work.run, error: reason }),
    commitFailed: (_plan, error) => error,
    committed: () => undefined,
    peek: async () => ({ isDone: false, mark: -1 }),
    finish: async () => undefined,
  });
  return new HeadgateError(
    `Cannot vouch for ${migration.file}: ${reason}, so what it did before that is committed`,
    {
      code: "interrupted",
      hint: `Its row is marked failed and stops every runner. Undo it by hand, take the transaction control out of the file and run ${resolveCommand(migration.version, "rolled-back")}; or finish it, keep the file as it is and run ${resolveCommand(migration.version, "applied")}`,
      cause: work.error,
    },
  );
}
