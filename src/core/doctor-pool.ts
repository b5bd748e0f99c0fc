/** Judges what stands between headgate and the server by what it does, not by what it says. */
import type { Finding } from "./doctor.ts";

/** What two connections that were open at once have seen. */
export interface PoolSight {
  /** The login named another process than the one that answers. */
  readonly isPooled: boolean;
  /** A pooler refused BEGIN. */
  readonly isStatementMode: boolean;
  /** Both connections were served by one server session, outside of any transaction. */
  readonly isShared: boolean;
  /** What the second one saw of a setting that the first had made; undefined: not on one session. */
  readonly hasLeaked: boolean | undefined;
  /** The setting is still there. */
  readonly isLeftOver: boolean;
}

/** Which of the two addresses it is about. */
export interface PoolPlace {
  /** `DATABASE_URL`, `MIGRATION_DATABASE_URL`. */
  readonly source: string;
  /** The gate's statements take this way. */
  readonly isGates: boolean;
}

/** The mode in a word; a session pool cannot be proven, because it behaves as a direct connection. */
export function poolMode(sight: PoolSight): "direct" | "statement" | "transaction" | "unproven" {
  if (!sight.isPooled) return "direct";
  if (sight.isStatementMode) return "statement";
  return sight.isShared ? "transaction" : "unproven";
}

/** Way and mode, and what leaks. */
export function judgePool(sight: PoolSight, place: PoolPlace): readonly Finding[] {
  return [judgeMode(sight, place), ...judgeLeak(sight, place)];
}

function judgeMode(sight: PoolSight, { source, isGates }: PoolPlace): Finding {
  const note = { check: "pooler", severity: "note", remedy: "None needed" } as const;
  switch (poolMode(sight)) {
    case "direct":
      return {
        ...note,
        what: `${source} leads to the server itself: the login named the process that answers`,
        why: "A pooler that speaks the protocol would name another one; a plain relay stays unseen",
      };
    case "statement":
      return {
        check: "pooler",
        severity: isGates ? "error" : "note",
        what: `${source} leads through a pooler that pools statements: it refused BEGIN`,
        why: "A migration, its row and its lock are one transaction, which such a pooler never allows",
        remedy: isGates
          ? "Give MIGRATION_DATABASE_URL an address past the pooler, or set pool_mode = transaction"
          : "None needed: the gate has an address of its own",
      };
    case "transaction":
      return {
        ...note,
        what: `${source} leads through a pooler that pools transactions: two open connections were served by one server session`,
        why: "headgate is made for it; a session-level lock of another tool is orphaned there, and a SET reaches other clients",
        remedy:
          'None for headgate. For other tools use an address past the pooler; "headgate locks" shows what they leave',
      };
    case "unproven":
      return {
        ...note,
        what: `${source} leads through a pooler whose mode is unproven: two open connections were served by two server sessions`,
        why: "It pools sessions, or it pools transactions and was busy; neither can be told from outside",
        remedy: "Look at its pool_mode, or run doctor again while it is quiet",
      };
  }
}

function judgeLeak(sight: PoolSight, { source }: PoolPlace): readonly Finding[] {
  const remedy =
    "Let clients use SET LOCAL, and set what must always hold by alter role … set …; in PgBouncer server_reset_query_always = 1 clears settings, and with them other tools' session locks";
  const findings: Finding[] = [];
  if (sight.hasLeaked === true) {
    findings.push({
      check: "settings-leak",
      severity: "warning",
      what: `A SET made through ${source} was seen by another client`,
      why: "A search_path, timeout or role that one client sets changes what the next one does",
      remedy,
    });
  }
  if (sight.hasLeaked === false) {
    findings.push({
      check: "session-reset",
      severity: "note",
      what: `The pooler of ${source} resets the server session behind each transaction: a SET was gone for the next client`,
      why: "headgate does not mind; a session-level lock of another tool is let go with it, so that it keeps nobody out",
      remedy: "None for headgate. For other tools use an address past the pooler",
    });
  }
  if (sight.isPooled && sight.hasLeaked === undefined && !sight.isStatementMode) {
    findings.push({
      check: "settings-leak",
      severity: "note",
      what: `Whether a SET made through ${source} reaches other clients is unproven`,
      why: "No second client was served by the server session that the setting was made on",
      remedy: "Run doctor again while the pooler is quiet",
    });
  }
  if (sight.isLeftOver) {
    findings.push({
      check: "settings-leak",
      severity: "note",
      what: "The harmless setting headgate.probe is still set on a pooled server session",
      why: "The pooler did not lend that session again",
      remedy: "None needed: nothing reads it, and it goes with the session",
    });
  }
  return findings;
}
