/** Judges how much a pooler gives to one client. */
import type { Finding } from "./doctor.ts";

/** What was seen of its places. */
export interface RoomSight {
  /** Transactions that were open at once, 0..3; the next one got no place. 0: it allows none. */
  readonly places: number;
  /** One that did nothing for six seconds was ended; undefined: with so few places not tried. */
  readonly isIdleEnded: boolean | undefined;
}

const ENOUGH = 3;

/** Few places, and transactions that may not idle: both hurt migrations outside a transaction. */
export function judgeRoom({ places, isIdleEnded }: RoomSight, source: string): readonly Finding[] {
  const findings: Finding[] = [];
  if (places > 0 && places < ENOUGH) {
    findings.push({
      check: "pool-size",
      severity: "warning",
      what: `The pooler of ${source} had place for ${places} open transaction${places === 1 ? "" : "s"}, and none for another one within 2 s`,
      why: "A migration outside a transaction shows by a second connection that it lives, and needs a place for others besides; with fewer places a lease shows it, which others believe for 60 s",
      remedy:
        "Give this database and role at least 3 places (PgBouncer: default_pool_size), or MIGRATION_DATABASE_URL an address past the pooler; if it was busy, run doctor again",
    });
  }
  if (isIdleEnded === true) {
    findings.push({
      check: "pool-idle",
      severity: "warning",
      what: `The pooler of ${source} ended a transaction that did nothing for 6 s`,
      why: "The connection that shows that a migration outside a transaction lives says something every 5 s only: it is ended, and the migration with it",
      remedy:
        "Raise that limit above 10 s or switch it off (PgBouncer: idle_transaction_timeout = 0), or give MIGRATION_DATABASE_URL an address past the pooler",
    });
  }
  return findings;
}

/** Startup parameters with which the pooler takes no connection. */
export function judgeStartup(refused: readonly string[], source: string): readonly Finding[] {
  if (refused.length === 0) return [];
  const names = refused.join(", ");
  return [
    {
      check: "startup-parameters",
      severity: "note",
      what: `The pooler of ${source} refuses connections with the startup parameters ${names}`,
      why: "headgate sends none of them; other clients do, from their URL, from PGOPTIONS or by default, and cannot connect",
      remedy: `Take them out of those clients' settings, or in PgBouncer set ignore_startup_parameters = ${names}, which drops them`,
    },
  ];
}
