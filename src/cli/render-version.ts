/** What this binary is and carries: compare it between the Job and the pods. */
import type { Head } from "../core/head.ts";
import { toJson } from "./to-json.ts";

/** What tells two binaries apart. */
export interface BuildInfo {
  readonly version: string;
  readonly commit: string;
  readonly head: Head;
}

/** Two lines, or one JSON object. */
export function renderVersion({ version, commit, head }: BuildInfo, isJson: boolean): string {
  if (isJson) {
    const bundle = { head: head.version, size: head.size, fingerprint: head.history };
    return toJson("version", { version, commit, bundle });
  }
  return `headgate ${version} (${commit})
bundle ${head.size} migrations, head ${head.version}, fingerprint ${head.history}
`;
}
