/**
 * Every event that headgate writes to stderr: its level and the text an operator greps for. One
 * table; the README prints it and `test/e2e/markers.test.ts` reads it.
 */

/** Weakest first. */
export type Level = "debug" | "info" | "warn" | "error";

/** By name, `noun.past-participle`. Names and messages are part of the interface. */
export const EVENTS = {
  "database.ready": { level: "info", message: "Database ready" },
  "schema.at-head": { level: "info", message: "Schema is at head; the gate is not needed" },
  "schema.awaited": { level: "info", message: "Schema is not ready yet; waiting" },
  "migrations.verified": {
    level: "info",
    message: "Migrations are another runner's; schema is at head",
  },
  "migrations.yielded": {
    level: "info",
    message: "Migrations are another runner's; nothing was looked at",
  },
  "peek.failed": {
    level: "warn",
    message: "Head could not be read without the gate; falling back to the gate",
  },
  "gate.acquired": { level: "info", message: "Gate acquired" },
  "gate.waiting": { level: "info", message: "Another session is in the way; waiting" },
  "ledger.created": { level: "info", message: "Ledger created" },
  "migration.started": { level: "info", message: "Migration started" },
  "migration.running": { level: "info", message: "Migration is still running" },
  "migration.applied": { level: "info", message: "Migration applied" },
  "build.leased": {
    level: "warn",
    message: "The pool has no place for a second connection; a lease shows that this run lives",
  },
  "build.taken-over": { level: "warn", message: "Interrupted migration taken over" },
  "build.superseded": {
    level: "warn",
    message: "Another runner has taken this migration over; looking again",
  },
  "build.waiting": { level: "info", message: "Statement waits for a lock" },
  "build.retried": {
    level: "warn",
    message: "Statement queued too long for a lock and was cancelled; it is tried again",
  },
  "build.cancelled": { level: "warn", message: "Orphaned build cancelled" },
  "index.adopted": { level: "info", message: "Index is valid already; taken as it is" },
  "index.dropped": { level: "warn", message: "Invalid index dropped" },
  "migration.reverted": { level: "info", message: "Migration reverted" },
  "row.resolved": { level: "info", message: "Interrupted row settled" },
  "drill.started": { level: "info", message: "Drill started" },
  "drill.reduced": {
    level: "warn",
    message: "Fewer runners than asked for: half of the free connections",
  },
  "drill.leftover": {
    level: "warn",
    message: "An earlier drill has left its scratch place, or one runs now",
  },
  "drill.killed": { level: "info", message: "Runner killed" },
  "drill.orphaned": {
    level: "warn",
    message: "Session-level lock of the contrast outlives its client",
  },
  "drill.freed": { level: "info", message: "Session with the contrast's lock ended" },
  "drill.cleaned": { level: "info", message: "Scratch place removed" },
  "drill.left": { level: "warn", message: "Scratch place could not be removed" },
  "lock.released": { level: "warn", message: "Session that held the lock ended" },
  "orphan.suspected": {
    level: "warn",
    message:
      "A needed lock is session-level and idle: an orphan or an idle living holder, which SQL cannot tell apart",
  },
  "orphan.reclaimed": {
    level: "warn",
    message: "Idle session-level holder ended; it may have been a living migrator",
  },
  "orphan.spared": { level: "warn", message: "Idle session-level holder left alone" },
  "seed.written": { level: "info", message: "Row seeded" },
  "seed.file-ran": { level: "info", message: "Seed file ran" },
  "seed.skipped": { level: "info", message: "Seeding skipped" },
  "seed.failed": { level: "warn", message: "Seeding failed; going on without it" },
  "seed.conflict": { level: "warn", message: "Resource could not be assigned; the others were" },
  "seed.duplicate": { level: "warn", message: "Several active rows where one should be" },
  "seed.role-vanished": {
    level: "warn",
    message: "System role is not defined any more; it stays as it is",
  },
  "seed.unconstrained": {
    level: "warn",
    message: "No unique index backs the seeds; the gate alone keeps others out",
  },
  "admin.password-kept": { level: "info", message: "Generated password written to the file" },
  "admin.disabled": { level: "warn", message: "Admin has no password and cannot log in" },
  "step.retried": { level: "warn", message: "Transaction is tried again" },
  "connection.chosen": { level: "debug", message: "Connection settings chosen" },
  "connection.lost": { level: "warn", message: "Connection lost; trying again" },
  "settings.ignored": { level: "warn", message: "Connection parameters ignored" },
  "command.failed": { level: "error", message: "Command failed" },
  "termination.unlogged": { level: "warn", message: "Termination log could not be written" },
  "probe.not-ready": { level: "warn", message: "Schema is not at head" },
  "server.notice": { level: "debug", message: "Server notice" },
} as const;

/** A key of `EVENTS`. */
export type EventName = keyof typeof EVENTS;
