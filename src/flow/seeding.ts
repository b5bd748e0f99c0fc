/** What is to be seeded, and what came of it. */
import type { CustomSeeds } from "../core/custom-seeds.ts";
import type { Ledger, LedgerPlace } from "../core/ledger.ts";
import type { RbacChange, RbacWish } from "../core/rbac.ts";
import type { SeedMark } from "../core/seed-mark.ts";
import type { Run } from "../db/record.ts";
import type { Connection, Vault } from "../ports.ts";

/** All that flags and variables say about seeding. */
export interface Seeding {
  /** `auto`: a database without the gateway's tables has nothing to seed; `rbac`: it must have. */
  readonly mode: "auto" | "rbac";
  readonly wish: RbacWish;
  /** Of the embedded roles, and of a roles file when one is given. */
  readonly marks: readonly SeedMark[];
  readonly custom: CustomSeeds | undefined;
  /** Seed although nothing keeps two writers from both being first. */
  readonly withoutConstraints: boolean;
  readonly password: PasswordWish;
  readonly vault: Vault;
  /** What `up` makes of a failure: exit status 9, or a warning. */
  readonly onFailure: "fail" | "warn";
}

/** Where the first password comes from. An existing one is never touched. */
export interface PasswordWish {
  readonly given: string | undefined;
  /** Where a generated one goes, when none is given. */
  readonly file: string | undefined;
  readonly allowsWeak: boolean;
}

/** In whose name, how long to wait, and whether the schema is there. */
export interface SeedWork {
  readonly run: Run;
  readonly lockWaitMs: number;
  readonly lockId: bigint | undefined;
  readonly reclaimAfterMs?: number | undefined;
  /** False: the tables are all that is needed, and no ledger is looked at or made. */
  readonly hasLedger: boolean;
  /** Without the gate. False: not this binary's to seed. Throws where seeding must be refused. */
  isReady(connection: Connection, place: LedgerPlace): Promise<boolean>;
  /** The same inside the gate, of the ledger as it is there. */
  isSeedable(ledger: Ledger): Promise<boolean>;
}

/** One row that was written. */
export interface SeedChange {
  readonly kind: RbacChange["kind"];
  readonly what: string;
}

/** A row that could not be given to the admin; the others were. */
export interface SeedConflict {
  readonly what: string;
  readonly reason: string;
}

/** How the admin whom this run created can log in. */
export type FirstPassword = "given" | "generated" | "disabled";

/** What this run seeded; all empty when nothing was to do. */
export interface SeedReport {
  readonly changes: readonly SeedChange[];
  readonly conflicts: readonly SeedConflict[];
  readonly password: FirstPassword | undefined;
  /** Files of `--seeds` that ran. */
  readonly files: readonly string[];
  /** Why nothing was even looked for. */
  readonly skipped: string | undefined;
}
