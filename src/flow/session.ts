/** One connection and the gate that it goes through. */
import { stepKey } from "../core/gate-key.ts";
import type { Gate } from "../db/gate.ts";
import { resolvePlace } from "../db/place.ts";
import type { Connection } from "../ports.ts";
import type { Access } from "./access.ts";
import type { Known } from "./entry.ts";

/** A connection and the gate that it goes through. */
export interface Session {
  readonly connection: Connection;
  /** Where the gate is; asked once, when it is first needed. */
  readonly gate: () => Promise<Gate>;
  /** What the step just before found; undefined unless that step acted. */
  known: Known | undefined;
}

/** What a gate is like, beside its place. */
export interface GateSettings {
  /** Another tool's bigint key that is taken too. */
  readonly foreignKey: bigint | undefined;
  /** The task needs no ledger. */
  readonly isLedgerless?: boolean | undefined;
}

/**
 * Asks the server for the place when the gate is first needed.
 *
 * @param known The gate, from a session that has asked.
 */
export function openSession(
  connection: Connection,
  access: Access,
  { foreignKey, isLedgerless = false }: GateSettings,
  known?: Gate,
): Session {
  const { searchPath } = access.direct ?? access.main;
  let gate = known;
  return {
    connection,
    known: undefined,
    gate: async () => {
      if (gate) return gate;
      const place = await resolvePlace(connection, access.ledger, searchPath);
      gate = { key: stepKey(place), place, foreignKey, searchPath, isLedgerless };
      return gate;
    },
  };
}
