/** Judges what a run needs: its privileges, the ledger, and the tables that it seeds. */
import type { Finding } from "./doctor.ts";
import type { Drift, HeadState } from "./head.ts";
import { quoteIdentifier, quoteLedger } from "./identifier.ts";
import type { LedgerPlace } from "./ledger.ts";
import type { RbacCatalog } from "./rbac-catalog.ts";

/** What the role may do with a ledger that exists. */
export interface LedgerRights {
  /** `select`, `insert`, `update`, `delete`, as far as they are missing. */
  readonly missing: readonly string[];
  readonly owner: string;
  /** The role is the owner or a member of it. */
  readonly isOwners: boolean;
}

/** The schema, and the role that the gate is passed as. */
export interface SchemaRights {
  readonly mayCreate: boolean;
  readonly schemaOwner: string;
  readonly role: string;
}

/** What the role lacks, with the GRANT that gives it. @param ledger Undefined: there is none yet. */
export function judgeRights(
  place: LedgerPlace,
  { mayCreate, schemaOwner, role }: SchemaRights,
  ledger: LedgerRights | undefined,
): readonly Finding[] {
  const [schema, name, owner] = [place.schema, role, schemaOwner].map(quoteIdentifier);
  const findings: Finding[] = [];
  if (!mayCreate) {
    findings.push({
      check: "privileges",
      severity: "error",
      what: `Role ${name} may not create in schema ${schema}, which ${owner} owns`,
      why: "The first up makes the ledger there, and most migrations make tables",
      remedy: `As ${owner} or a superuser: grant create, usage on schema ${schema} to ${name}`,
    });
  }
  if (ledger && ledger.missing.length > 0) {
    findings.push({
      check: "privileges",
      severity: "error",
      what: `Role ${name} may not ${ledger.missing.join(", ")} on the ledger ${quoteLedger(place)}`,
      why: "Every migration writes its row there, in its own transaction",
      remedy: `As ${quoteIdentifier(ledger.owner)} or a superuser: grant ${ledger.missing.join(", ")} on ${quoteLedger(place)} to ${name}`,
    });
  }
  if (ledger && !ledger.isOwners) {
    findings.push({
      check: "privileges",
      severity: "note",
      what: `The ledger ${quoteLedger(place)} is ${quoteIdentifier(ledger.owner)}'s, and ${name} is no member of that role`,
      why: "Tables that another role made can only be altered by that role",
      remedy: `Migrate as one role; or grant ${quoteIdentifier(ledger.owner)} to ${name}`,
    });
  }
  return findings;
}

/** Whether the schema is where the bundle wants it; nothing at head. */
export function judgeLedger(state: HeadState): readonly Finding[] {
  const found = state.kind === "at-head" ? undefined : describe(state);
  return found ? [{ check: "ledger", ...found }] : [];
}

function describe(state: Exclude<HeadState, { readonly kind: "at-head" }>): Omit<Finding, "check"> {
  switch (state.kind) {
    case "ahead":
      return {
        severity: state.breaking ? "error" : "note",
        what: `The database has ${state.extra.length} newer migrations than this bundle`,
        why: state.breaking
          ? "One of them is marked breaking: this version must not run against it"
          : "It is ready all the same, unless --policy exact is asked for",
        remedy: "Deploy the newer image",
      };
    case "fresh":
    case "behind":
      return {
        severity: "note",
        what: `${state.pending.length} migrations are pending, first ${state.pending[0].file}`,
        why: "A probe answers 1 until they are applied",
        remedy: "headgate up",
      };
    case "running":
      return {
        severity: "note",
        what: `Migration ${state.row.version} ${state.row.name} is being built`,
        why: "Other runners wait for it",
        remedy: "None needed",
      };
    case "interrupted":
      return {
        severity: "error",
        what: `Migration ${state.row.version} ${state.row.name} is ${state.row.state}, and nobody works on it`,
        why: "It stops every runner",
        remedy: `headgate resolve ${state.row.version} --applied, or --rolled-back, after a look at what it left`,
      };
    case "drifted":
      return driftedFinding(state.drifts);
  }
}

function driftedFinding(drifts: readonly Drift[]): Omit<Finding, "check"> {
  return {
    severity: "error",
    what: `Ledger and bundle disagree on ${drifts.map(({ version, why }) => `${version} (${why})`).join(", ")}`,
    why: "up refuses to build on a history that is not its own",
    remedy:
      'Compare with "headgate status"; restore the released files, or deploy the right bundle',
  };
}

/** The gateway's tables; where one of them is missing there is nothing to judge. */
export function judgeRbac(
  { missing, unbacked, schema }: Pick<RbacCatalog, "missing" | "unbacked" | "schema">,
  duplicates: readonly { readonly what: string; readonly count: number }[],
): readonly Finding[] {
  if (missing.length > 0) return [];
  const backed = unbacked.map(
    (what): Finding => ({
      check: "seed-index",
      severity: "warning",
      what: `No unique index backs ${what} in schema ${quoteIdentifier(schema)}`,
      why: "Two seeders at once, or the gateway itself, can make a row twice; headgate refuses to seed",
      remedy: "headgate up, whose migrations add it; the rows must be unique first",
    }),
  );
  const doubled = duplicates.map(
    ({ what, count }): Finding => ({
      check: "duplicate-rows",
      severity: "error",
      what: `${what} is there ${count} times`,
      why: "The gateway answers with an error where it expects one row",
      remedy:
        "headgate up, whose migration keeps one of them; or deactivate all but the oldest by hand",
    }),
  );
  return [...backed, ...doubled];
}
