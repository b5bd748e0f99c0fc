/** Makes a ledger where there is none, or says what is missing for that. */
import { asContention, CREATION_RACE, DbError } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import { quoteIdentifier, quoteLedger } from "../core/identifier.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import type { Connection } from "../ports.ts";
import { createLedger } from "./ledger.ts";
import type { Tenancy } from "./place.ts";

/**
 * Called inside the gate, after a query has shown that the table is missing.
 *
 * @throws {HeadgateError} `privilege-missing` before any DDL, with the statement that cures it.
 */
export async function createMissing(
  connection: Connection,
  place: LedgerPlace,
  tenancy: Tenancy,
): Promise<void> {
  if (!tenancy.mayCreate) throw mayNotCreate("the ledger", place, tenancy);
  await createLedger(connection, place).catch(retryLostRace);
}

/** Somebody who does not pass the gate created it meanwhile: as good as a lock that was not got. */
function retryLostRace(error: unknown): never {
  if (!(error instanceof DbError) || !CREATION_RACE.has(error.server?.sqlState ?? "")) throw error;
  throw asContention(error);
}

/** The error with the statement that cures it. */
export function mayNotCreate(what: string, place: LedgerPlace, tenancy: Tenancy): HeadgateError {
  const schema = quoteIdentifier(place.schema);
  const { role, schemaOwner: owner } = tenancy;
  return new HeadgateError(
    `Cannot create ${what} ${quoteLedger(place)}: role ${quoteIdentifier(role)} may not create in schema ${schema}, which ${quoteIdentifier(owner)} owns (SQLSTATE 42501)`,
    {
      code: "privilege-missing",
      hint: `As ${quoteIdentifier(owner)} or a superuser: grant create, usage on schema ${schema} to ${quoteIdentifier(role)}; or: alter schema ${schema} owner to ${quoteIdentifier(role)}`,
    },
  );
}
