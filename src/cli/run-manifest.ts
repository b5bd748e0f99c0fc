/** `manifest FORMAT`: settings to wiring, and wiring to text or files. Asks no database. */
import type { Settings } from "../config/settings.ts";
import { settingsError } from "../config/settings-error.ts";
import type { Head } from "../core/head.ts";
import { deriveWiring, type Wiring, wiringProblems } from "../core/wiring.ts";
import { renderCompose } from "../core/wiring-compose.ts";
import { chartFiles } from "../core/wiring-helm.ts";
import { type Files, kustomizeFiles, renderKubernetes } from "../core/wiring-kustomize.ts";
import type { Format } from "./operands.ts";
import type { Outcome } from "./run.ts";
import { toJson } from "./to-json.ts";

/** What the real world gives. */
export interface ManifestWorld {
  readonly head: Head;
  readonly version: string;
  /** Makes the folder where it is not there yet. */
  readonly writeFolder: (folder: string, files: Files) => void;
}

/**
 * Prints the text, or writes the files and prints where they are.
 *
 * @throws {HeadgateError} `config-invalid` when the numbers or the parts do not fit together
 */
export function runManifest(settings: Settings, format: Format, world: ManifestWorld): Outcome {
  const wiring = wiringOf(settings, world);
  const problems = [...wiringProblems(wiring), ...formatProblems(settings, format)];
  if (problems.length > 0) throw settingsError(problems.join("; "));
  const files = filesOf(settings, format, wiring, world.head);
  const { out, json } = settings;
  if (out !== undefined) world.writeFolder(out, files);
  if (json) return { stdout: toJson("manifest", { format, files }), exitStatus: 0 };
  const paths = Object.keys(files).map((path) => `${out}/${path}\n`);
  const texts = out === undefined ? Object.values(files) : paths;
  return { stdout: texts.join(""), exitStatus: 0 };
}

function wiringOf(settings: Settings, { head, version }: ManifestWorld): Wiring {
  const { name } = settings;
  return deriveWiring({
    owner: settings.owner,
    delivery: settings.deliver,
    jobKind: settings.job,
    name,
    image: settings.image ?? `headgate:${version}`,
    appImage: settings.appImage ?? "app:latest",
    secret: settings.secret ?? `${name}-database`,
    urlKey: settings.urlKey,
    directUrlKey: settings.directUrlKey,
    replicas: settings.pods,
    fingerprint: head.history,
    jobDeadlineS: settings.jobDeadline / 1000,
    lockWaitS: settings.lockWait / 1000,
    probeBudgetMs: settings.timeout,
    probeTimeoutS: settings.probeTimeout / 1000,
    probePeriodS: settings.probePeriod / 1000,
    probeFailures: settings.probeFailures,
  });
}

function filesOf(settings: Settings, format: Format, wiring: Wiring, head: Head): Files {
  switch (format) {
    case "kubernetes":
      return { "kubernetes.yaml": renderKubernetes(wiring) };
    case "kustomize":
      return kustomizeFiles(wiring);
    case "helm":
      return chartFiles(wiring, head.version);
    case "compose":
      return { "compose.yaml": renderCompose(wiring, settings.appImage !== undefined) };
  }
}

/** What a format has no words for. */
function formatProblems(settings: Settings, format: Format): readonly string[] {
  const { out, json, owner, deliver, appImage, lockWait } = settings;
  const isFolder = format === "helm" || format === "kustomize";
  const isCompose = format === "compose";
  const rules: readonly (readonly [isBroken: boolean, problem: string])[] = [
    [isFolder && out === undefined && !json, `${format} is a folder: name it with --out`],
    [isCompose && owner === "init", "Compose has no init containers: take --owner job"],
    [isCompose && deliver === "sidecar", "Compose has no sidecars: take --deliver install or copy"],
    [
      isCompose && owner === "app" && appImage === undefined,
      "--owner app needs an --app-image that migrates",
    ],
    [lockWait % 1000 !== 0, "--lock-wait must be whole seconds here"],
  ];
  return rules.filter(([isBroken]) => isBroken).map(([, problem]) => problem);
}
