/** What this binary is and carries: compare it between the Job and the pods. */
import type { Head } from "../core/head.ts";
import { toJson } from "./to-json.ts";

/** What tells two binaries apart. */
export interface BuildInfo {
  readonly version: string;
  readonly commit: string;
  /** Undefined: it runs from source. */
  readonly target: string | undefined;
  /** As `process.versions` has them. */
  readonly runtimes: Readonly<Record<string, string | undefined>>;
  readonly head: Head;
  /** Where the migrations come from. */
  readonly origin: "folder" | "executable" | "embedded";
}

/** Two lines, or one JSON object. */
export function renderVersion(build: BuildInfo, isJson: boolean): string {
  const { version, commit, target = "source", head, origin } = build;
  const runtime = runtimeOf(build);
  if (isJson) {
    const bundle = { head: head.version, size: head.size, fingerprint: head.history, origin };
    return toJson("version", { version, commit, runtime, target, bundle });
  }
  return `headgate ${version} (${commit}), ${runtime}, ${target}
bundle ${head.size} migrations, head ${head.version}, fingerprint ${head.history}
`;
}

/** Both runtimes also name a Node.js version that they imitate. */
function runtimeOf({ runtimes }: BuildInfo): string {
  const name = ["bun", "deno"].find((each) => runtimes[each] !== undefined) ?? "node";
  return `${name} ${runtimes[name]}`;
}
