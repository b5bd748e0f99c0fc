/** Judges indexes, their builders, and what holds back vacuum. */
import { type Finding, literal } from "./doctor.ts";
import { renderDuration } from "./duration.ts";
import { quoteIdentifier } from "./identifier.ts";

/** An index that is not valid or not ready. */
export interface IndexSight {
  readonly schema: string;
  readonly name: string;
  readonly table: string;
  readonly definition: string;
  /** The role that owns it. */
  readonly owner: string;
  /** The process that builds it now. */
  readonly builder: number | null;
}

/** Nobody notices an invalid index: it costs every write and serves no query. */
export function judgeIndex(index: IndexSight): Finding {
  const name = `${quoteIdentifier(index.schema)}.${quoteIdentifier(index.name)}`;
  if (index.builder !== null) {
    return {
      check: "invalid-index",
      severity: "note",
      what: `Index ${name} on ${index.table} is being built by pid ${index.builder}`,
      why: "It serves no query until it is valid",
      remedy: "Wait for its builder",
    };
  }
  return {
    check: "invalid-index",
    severity: "warning",
    what: `Index ${name} on ${index.table}, which ${quoteIdentifier(index.owner)} owns, is invalid, and nobody builds it`,
    why: "It serves no query, costs every write, and CREATE INDEX IF NOT EXISTS takes it for done",
    remedy: `drop index concurrently ${name}; then again: ${index.definition.replace(/^(CREATE (?:UNIQUE )?INDEX)/, "$1 CONCURRENTLY")}`,
  };
}

/** A server process that builds an index. */
export interface BuilderSight {
  readonly pid: number;
  readonly table: string | null;
  readonly phase: string;
  /** The headgate run that asked for it. */
  readonly run: string | null;
  readonly ageMs: number | null;
  /** Some headgate holds the lock around such builds. */
  readonly isGuarded: boolean;
}

/** A builder of a headgate that holds no lock any more is a zombie: its runner is gone. */
export function judgeBuilder(builder: BuilderSight): Finding {
  const age = builder.ageMs === null ? "" : ` for ${renderDuration(builder.ageMs)}`;
  const what = `pid ${builder.pid} builds an index on ${builder.table ?? "a table"}${age} (${builder.phase})`;
  const isZombie = builder.run !== null && !builder.isGuarded;
  return {
    check: "index-builder",
    severity: isZombie ? "warning" : "note",
    what: isZombie ? `${what} for headgate run ${builder.run}, which is gone` : what,
    why: "It goes on although its client may be gone, and DROP INDEX on it waits",
    remedy: isZombie
      ? `Let it end; the next up finds its index. Or: select pg_terminate_backend(${builder.pid}), and drop the invalid index`
      : "None needed",
  };
}

/** What holds back vacuum without a session. */
export interface KeeperSight {
  readonly kind: "prepared" | "slot";
  readonly name: string;
  readonly owner: string | null;
  readonly ageMs: number | null;
}

/** Neither shows up among the sessions, so nobody looks for them. */
export function judgeKeeper({ kind, name, owner, ageMs }: KeeperSight): Finding {
  if (kind === "slot") {
    return {
      check: "replication-slot",
      severity: "warning",
      what: `Replication slot ${literal(name)} has no consumer and holds back vacuum or WAL`,
      why: "The disk fills, dead rows stay, and nothing says so",
      remedy: `If nobody comes back for it: select pg_drop_replication_slot(${literal(name)})`,
    };
  }
  const age = ageMs === null ? "" : ` since ${renderDuration(ageMs)}`;
  return {
    check: "prepared-transaction",
    severity: "warning",
    what: `Prepared transaction ${literal(name)} of ${owner ?? "an unknown role"} is open${age}`,
    why: "It holds its locks and holds back vacuum, over restarts, without any session",
    remedy: `commit prepared ${literal(name)}, or rollback prepared ${literal(name)}`,
  };
}
