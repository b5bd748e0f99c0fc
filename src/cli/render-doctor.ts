/** Findings for people and as plain data. */
import { type Finding, SEVERITIES, type Severity } from "../core/doctor.ts";

/** Strongest first, each with why and what next; then how many there are. */
export function renderDoctor(findings: readonly Finding[]): string {
  const parts = findings.map(
    ({ check, severity, what, why, remedy }) =>
      `${severity.padEnd(8)} ${check}: ${what}\n         why: ${why}\n         do:  ${remedy}\n`,
  );
  const counts = SEVERITIES.map((severity) => {
    const count = countOf(findings, severity);
    return `${count} ${severity}${count === 1 ? "" : "s"}`;
  });
  return `${parts.join("\n")}\n${counts.join(", ")}\n`;
}

/** With the names that `--json` promises. */
export function toDoctor(findings: readonly Finding[]): Readonly<Record<string, unknown>> {
  const counts = SEVERITIES.map((severity) => [`${severity}s`, countOf(findings, severity)]);
  return { findings, ...Object.fromEntries(counts) };
}

/** How many findings are of this severity. */
export function countOf(findings: readonly Finding[], severity: Severity): number {
  return findings.filter((finding) => finding.severity === severity).length;
}
