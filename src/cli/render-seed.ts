/** The report of seeding, as text and as JSON. Never holds a password. */
import type { SeedPreview } from "../flow/plan-seeds.ts";
import type { SeedReport } from "../flow/seeding.ts";

type Kind = SeedReport["changes"][number]["kind"];

/** What was done, and what would be. */
const VERBS: Readonly<Record<Kind, readonly [done: string, wish: string]>> = {
  "normalise-team": ["made private:", "make private:"],
  "create-admin": ["created admin", "create admin"],
  "set-password": ["gave a password to", "give a password to"],
  "promote-admin": ["made an administrator again:", "make an administrator again:"],
  "create-role": ["created role", "create role"],
  "converge-role": ["converged role", "converge role"],
  "create-team": ["created team", "create team"],
  "add-member": ["added the", "add the"],
  "add-history": ["recorded the", "record the"],
  "retire-grant": ["retired the", "retire the"],
  "grant-role": ["granted", "grant"],
  "assign-orphan": ["assigned", "assign"],
};

/** What was written, one line each. */
export function renderSeed(report: SeedReport): string {
  const { changes, conflicts, files, skipped, password } = report;
  const written = changes.length + files.length;
  const head =
    skipped !== undefined && written === 0
      ? `Seeding skipped: ${skipped}`
      : `Seeded ${written === 1 ? "1 change" : `${written} changes`}`;
  if (skipped === undefined && written + conflicts.length === 0) return "Nothing to seed\n";
  const lines = [
    ...changes.map(({ kind, what }) => `${VERBS[kind][0]} ${what}`),
    ...conflicts.map(({ what, reason }) => `not assigned ${what}: ${reason}`),
    ...files.map((file) => `ran ${file}`),
    ...(password === undefined ? [] : [PASSWORDS[password]]),
  ];
  return [head, ...lines.map((line) => `  ${line}`)].join("\n").concat("\n");
}

const PASSWORDS: Readonly<Record<NonNullable<SeedReport["password"]>, string>> = {
  given: "the admin has the password of PLATFORM_ADMIN_PASSWORD",
  generated: "the admin's password is in the file of --generated-password-file",
  disabled:
    "the admin has no password and cannot log in: set PLATFORM_ADMIN_PASSWORD or pass --generated-password-file FILE, then run headgate seed --enable-admin",
};

/** The same as plain data. */
export function toSeeds(report: SeedReport): Readonly<Record<string, unknown>> {
  const { changes, conflicts, files, skipped, password } = report;
  return { changes, conflicts, files, password: password ?? null, skipped: skipped ?? null };
}

/** What would be seeded, as SQL comments; empty when nothing would. */
export function renderPreview(preview: SeedPreview | undefined): string {
  if (!preview) return "";
  const lines = [
    ...preview.unbacked.map((key) => `Refused without --without-constraints: no index on ${key}`),
    ...preview.changes.map(({ kind, what }) => `Seed: ${VERBS[kind][1]} ${what}`),
    ...preview.files.map((file) => `Seed: run ${file}`),
  ];
  return lines.map((line) => `-- ${line}\n`).join("");
}
