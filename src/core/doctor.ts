/** What `doctor` says: findings as plain data. Each judgement is in a file of its own. */

/** `error`: headgate or the schema cannot do its work. `warning`: it will hurt. `note`: worth knowing. */
export type Severity = "error" | "warning" | "note";

/** Strongest first. */
export const SEVERITIES: readonly Severity[] = ["error", "warning", "note"];

/** One thing that is so, why it matters, and the exact next step. */
export interface Finding {
  /** The check's name, such as `pooler`; part of the interface. */
  readonly check: string;
  readonly severity: Severity;
  readonly what: string;
  readonly why: string;
  readonly remedy: string;
}

/** Strongest first; within a severity in the order of the checks. */
export function sortFindings(findings: readonly Finding[]): readonly Finding[] {
  const rank = ({ severity }: Finding): number => SEVERITIES.indexOf(severity);
  return [...findings].sort((a, b) => rank(a) - rank(b));
}

/** For a check that could not be made: the others still count. */
export function uncheckedFinding(check: string, problem: string): Finding {
  return {
    check,
    severity: "note",
    what: `not checked: ${problem}`,
    why: "What this check would have found is unknown",
    remedy: "Run doctor as a role that may look, through an address that answers",
  };
}

/** A text as an SQL literal, for remedies that a person copies; never sent by headgate. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
