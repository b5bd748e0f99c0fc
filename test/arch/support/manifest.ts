/** What package.json may say. */

export interface Manifest {
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export const LOCK_FILES: readonly string[] = [
  "bun.lock",
  "bun.lockb",
  "deno.lock",
  "npm-shrinkwrap.json",
  "package-lock.json",
  "pnpm-lock.yaml",
  "yarn.lock",
];

const EXACT = /^(?:npm:(?:@[\w.-]+\/)?[\w.-]+@)?\d+\.\d+\.\d+(?:-[\w.]+)?$/;
const GROUPS = ["dependencies", "devDependencies", "optionalDependencies"] as const;

/** Ranges, tags and addresses: what may be another thing tomorrow. */
export function inexactVersions(manifest: Manifest): readonly string[] {
  return GROUPS.flatMap((group) =>
    Object.entries(manifest[group] ?? {})
      .filter(([, range]) => !EXACT.test(range))
      .map(([name, range]) => `${group} ${name}: ${range}`),
  );
}
