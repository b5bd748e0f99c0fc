/** Where this process runs, for the ledger's applied_by. */
import { hostname } from "node:os";

/**
 * Names this process.
 *
 * @example `billing-7c9f4:1`
 */
export function hostAndPid(pid: number): string {
  return `${hostname()}:${pid}`;
}
