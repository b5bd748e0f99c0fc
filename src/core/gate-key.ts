/**
 * The gate's advisory keys: the one definition. Two integers each: a namespace of headgate's own,
 * and a number derived from the ledger's qualified name as the server spells it, so that two
 * spellings of one ledger give one key and two ledgers in one database do not wait for each other.
 */
import { integerLiteral, quoteLedger } from "./identifier.ts";
import type { LedgerPlace } from "./ledger.ts";

/** An advisory lock's identity; both parts are signed 32-bit integers. */
export interface GateKey {
  readonly namespace: number;
  readonly ledger: number;
}

/** `hgst` in ASCII: held by the transaction that creates the ledger or applies a migration. */
export const STEP_NAMESPACE = 0x68677374;
/** `hgrn` in ASCII: held around a migration that runs outside a transaction. */
export const RUN_NAMESPACE = 0x6867726e;
/** `hgrc` in ASCII: held by the one runner that watches an idle holder with a view to ending it. */
export const RECLAIM_NAMESPACE = 0x68677263;

/** The key of the transaction that applies a migration. */
export function stepKey(place: LedgerPlace): GateKey {
  return { namespace: STEP_NAMESPACE, ledger: fnv1a(quoteLedger(place)) };
}

/** The key around a migration that runs outside a transaction. */
export function runKey(place: LedgerPlace): GateKey {
  return { namespace: RUN_NAMESPACE, ledger: fnv1a(quoteLedger(place)) };
}

/** The key of the one runner that watches an idle holder. */
export function reclaimKey(place: LedgerPlace): GateKey {
  return { namespace: RECLAIM_NAMESPACE, ledger: fnv1a(quoteLedger(place)) };
}

/** As arguments of an advisory lock function. */
export function keyArguments(key: GateKey): string {
  return `${integerLiteral(key.namespace)}, ${integerLiteral(key.ledger)}`;
}

/** 32-bit FNV-1a over UTF-8, as a signed integer. Collisions only make two ledgers take turns. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    hash = Math.imul(hash ^ byte, 0x01000193);
  }
  return hash | 0;
}
