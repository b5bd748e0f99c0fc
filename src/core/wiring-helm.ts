/**
 * The same objects as a Helm chart. They are built with stand-ins for values, so that the templates
 * come from where the plain manifests come from; then the stand-ins become expressions.
 */
import type { Container, EnvVar } from "./kubernetes.ts";
import type { Wiring } from "./wiring.ts";
import { chartReadme, chartValues } from "./wiring-helm-texts.ts";
import type { Files } from "./wiring-kustomize.ts";
import { comment, notesOf } from "./wiring-notes.ts";
import { deploymentOf, jobOf } from "./wiring-objects.ts";
import {
  appEnv,
  installContainer,
  migrateContainer,
  ownerEnv,
  sidecarContainer,
  waitContainer,
} from "./wiring-pod.ts";
import { renderYaml } from "./yaml.ts";

const NAME = "HELM_NAME";
const JOB_NAME = "HELM_JOB_NAME";
const SKIP = "HELM_SKIP";

/** A value that no flag can have, for every value of the chart. */
const STAND_INS = {
  name: NAME,
  image: "HELM_IMAGE",
  appImage: "HELM_APP_IMAGE",
  secret: "HELM_SECRET",
  urlKey: "HELM_URL_KEY",
  directUrlKey: "HELM_DIRECT_KEY",
  fingerprint: "HELM_BUNDLE",
  expected: "HELM_EXPECTED",
  replicas: 900_001,
  jobDeadlineS: 900_002,
  upDeadlineS: 900_003,
  lockWaitS: 900_004,
  probeBudgetMs: 900_005,
  probeTimeoutS: 900_006,
  probePeriodS: 900_007,
  probeFailures: 900_008,
  windowS: 900_009,
} as const;

const EXPRESSIONS: Readonly<Record<string, string>> = {
  [NAME]: ".Release.Name",
  [JOB_NAME]:
    'printf "%s-migrate-%s-%s" (.Release.Name | trunc 36 | trimSuffix "-") (list .Values.headgate .Values.migration .Values.database | toJson | sha256sum | trunc 6) (.Values.headgate.bundle | trunc 10)',
  [SKIP]: 'ternary "false" "true" (eq (toString .Values.migration.owner) "app") | quote',
  [STAND_INS.image]: ".Values.headgate.image | quote",
  [STAND_INS.appImage]: ".Values.app.image | quote",
  [STAND_INS.secret]: '.Values.database.secret | default (printf "%s-database" .Release.Name)',
  [STAND_INS.urlKey]: ".Values.database.urlKey | quote",
  [STAND_INS.directUrlKey]: ".Values.database.directUrlKey | quote",
  [STAND_INS.fingerprint]: ".Values.headgate.bundle | quote",
  [STAND_INS.expected]: ".Values.headgate.bundle | trunc 12 | quote",
  [STAND_INS.replicas]: "int .Values.app.replicas",
  [STAND_INS.jobDeadlineS]: "int .Values.migration.deadlineSeconds",
  [STAND_INS.upDeadlineS]: "sub (int .Values.migration.deadlineSeconds) 15",
  [STAND_INS.lockWaitS]: "int .Values.migration.lockWaitSeconds",
  [STAND_INS.probeBudgetMs]: "int .Values.probe.budgetMilliseconds",
  [STAND_INS.probeTimeoutS]: "int .Values.probe.timeoutSeconds",
  [STAND_INS.probePeriodS]: "int .Values.probe.periodSeconds",
  [STAND_INS.probeFailures]: "int .Values.probe.failureThreshold",
  [STAND_INS.windowS]: "mul .Values.probe.periodSeconds .Values.probe.failureThreshold",
};

/** A small chart whose switch is `migration.owner`. */
export function chartFiles(wiring: Wiring, head: number): Files {
  const chart = {
    apiVersion: "v2",
    name: wiring.name,
    description: `${wiring.name}, whose schema headgate brings to its head`,
    type: "application",
    version: "0.1.0",
    appVersion: String(head),
  };
  const given = { ...wiring, ...STAND_INS };
  return {
    "Chart.yaml": renderYaml(chart),
    "values.yaml": comment(notesOf(wiring, "helm")) + chartValues(wiring),
    "README.md": chartReadme(wiring),
    "templates/checks.yaml": checksOf(wiring),
    "templates/job.yaml": onlyFor("job", toTemplate(jobOf(given, JOB_NAME))),
    "templates/deployment.yaml": toTemplate(deploymentOf(given, partsOf(given))),
  };
}

/**
 * Init containers and variables of every owner, between the lines that choose. A user's variable of a
 * name that is set here is left out: a later one would win, but server-side apply takes no two.
 */
function partsOf(wiring: Wiring): Parameters<typeof deploymentOf>[1] {
  const { delivery } = wiring;
  const ours = [...ownerEnv(wiring), ...appEnv(wiring)].map(({ name }) => JSON.stringify(name));
  const gates =
    delivery === "sidecar"
      ? [sidecarContainer(wiring)]
      : [
          mark('if eq (toString .Values.migration.owner) "job"'),
          waitContainer(wiring),
          mark("end"),
        ];
  return {
    initContainers: [
      ...(delivery === "install" ? [installContainer(wiring)] : []),
      mark('if eq (toString .Values.migration.owner) "init"'),
      migrateContainer(wiring),
      mark("end"),
      ...gates,
    ],
    env: [
      mark("range .Values.app.env"),
      mark(`if not (has .name (list ${ours.join(" ")}))`),
      mark("list . | toYaml | nindent 12"),
      mark("end"),
      mark("end"),
      mark('if eq (toString .Values.migration.owner) "app"'),
      ...ownerEnv(wiring),
      mark("end"),
      ...appEnv(wiring).map(switched),
    ],
  };
}

function switched(variable: EnvVar): EnvVar {
  return variable.name.endsWith("_SKIP_MIGRATIONS") ? { ...variable, value: SKIP } : variable;
}

/** An element that becomes a line of the template. */
function mark(action: string): Container & EnvVar {
  return { helm: action } as unknown as Container & EnvVar;
}

function toTemplate(object: object): string {
  const text = renderYaml(object).replace(
    /^ *- helm: (.+)$/gm,
    (_line, action: string) =>
      `{{- ${action.startsWith('"') ? (JSON.parse(action) as string) : action} }}`,
  );
  const names = new RegExp(Object.keys(EXPRESSIONS).sort(longestFirst).join("|"), "g");
  return text.replace(names, (name) => `{{ ${EXPRESSIONS[name]} }}`);
}

function longestFirst(a: string, b: string): number {
  return b.length - a.length;
}

function onlyFor(owner: string, text: string): string {
  return `{{- if eq (toString .Values.migration.owner) "${owner}" }}\n${text}{{- end }}\n`;
}

/** The rules that headgate itself holds its flags to, for whoever sets values later. */
function checksOf({ delivery }: Wiring): string {
  const { owner, window, up } = {
    owner: "(toString .Values.migration.owner)",
    window: "(mul .Values.probe.periodSeconds .Values.probe.failureThreshold)",
    up: "(sub (int .Values.migration.deadlineSeconds) 15)",
  };
  const budget = "(int .Values.probe.budgetMilliseconds)";
  const rules: readonly (readonly [condition: string, problem: string])[] = [
    [`not (has ${owner} (list "job" "init" "app"))`, "migration.owner must be job, init or app"],
    [
      `ge ${budget} (int (mul 1000 .Values.probe.timeoutSeconds))`,
      "probe.budgetMilliseconds must be below probe.timeoutSeconds",
    ],
    [
      "gt (int .Values.probe.timeoutSeconds) (int .Values.probe.periodSeconds)",
      "probe.timeoutSeconds must not be above probe.periodSeconds",
    ],
    [
      `le (int ${window}) (int .Values.migration.deadlineSeconds)`,
      "probe.periodSeconds x probe.failureThreshold must be above migration.deadlineSeconds",
    ],
    [
      `ge (int .Values.migration.lockWaitSeconds) (int ${up})`,
      "migration.lockWaitSeconds must be below migration.deadlineSeconds less 15",
    ],
    ...(delivery === "sidecar"
      ? ([
          [`eq ${owner} "app"`, "a sidecar would wait for a schema that nobody else brings"],
        ] as const)
      : []),
  ];
  return rules
    .map(([condition, problem]) => `{{- if ${condition} }}{{ fail "${problem}" }}{{ end }}\n`)
    .join("");
}
