/**
 * Who migrates, and what the other side must then do: the one description from which every manifest
 * is printed, so that the two sides cannot drift apart. The numbers are checked against each other
 * before anything is printed.
 */

/** Who migrates: a Job before the pods, an init container of each pod, the application itself. */
export type Owner = "job" | "init" | "app";
/** How the binary gets to where the probe runs. */
export type Delivery = "install" | "copy" | "sidecar";
/** What else a Job may be to the tool that deploys it. */
export type JobKind = "plain" | "helm" | "argo";

/** What a manifest is printed from. */
export interface Wiring {
  readonly owner: Owner;
  readonly delivery: Delivery;
  readonly jobKind: JobKind;
  readonly name: string;
  /** The same for Job, init container and sidecar. */
  readonly image: string;
  readonly appImage: string;
  readonly secret: string;
  readonly urlKey: string;
  /** Past a pooler; may be missing in the Secret. */
  readonly directUrlKey: string;
  readonly replicas: number;
  /** Of the bundle: all of it as a note, its start as what the binary must carry. */
  readonly fingerprint: string;
  readonly expected: string;
  readonly jobDeadlineS: number;
  /** When `up` itself gives up, with a reason, before the Job is cut. */
  readonly upDeadlineS: number;
  readonly lockWaitS: number;
  readonly probeBudgetMs: number;
  readonly probeTimeoutS: number;
  readonly probePeriodS: number;
  readonly probeFailures: number;
  /** How long a pod may wait for its schema. */
  readonly windowS: number;
}

/** Those that follow from the others. */
type Derived = "expected" | "upDeadlineS" | "windowS";

/** How much earlier than the Job `up` ends, to say why. */
const LAST_WORDS_S = 15;
const EXPECTED_LENGTH = 12;

/** Adds what follows from the rest. */
export function deriveWiring(given: Omit<Wiring, Derived>): Wiring {
  return {
    ...given,
    expected: given.fingerprint.slice(0, EXPECTED_LENGTH),
    upDeadlineS: given.jobDeadlineS - LAST_WORDS_S,
    windowS: given.probePeriodS * given.probeFailures,
  };
}

/** What does not fit together, a sentence each. */
export function wiringProblems(wiring: Wiring): readonly string[] {
  const { probeBudgetMs, probeTimeoutS, probePeriodS, probeFailures, windowS } = wiring;
  const { owner, jobDeadlineS, upDeadlineS, lockWaitS } = wiring;
  const rules: readonly (readonly [isBroken: boolean, problem: string])[] = [
    [
      probeBudgetMs >= probeTimeoutS * 1000,
      `--timeout (${probeBudgetMs} ms) must be below --probe-timeout (${probeTimeoutS} s), or the kubelet kills the probe before it says why`,
    ],
    [
      probeTimeoutS > probePeriodS,
      `--probe-timeout (${probeTimeoutS} s) must not be above --probe-period (${probePeriodS} s)`,
    ],
    [
      windowS <= jobDeadlineS,
      `--probe-period × --probe-failures (${probePeriodS} s × ${probeFailures} = ${windowS} s) must be above --job-deadline (${jobDeadlineS} s), or pods are restarted while the schema is still migrated`,
    ],
    [
      lockWaitS >= upDeadlineS,
      `--lock-wait (${lockWaitS} s) must be below --job-deadline less the ${LAST_WORDS_S} s that up keeps to say why (${upDeadlineS} s), or the Job is cut while it waits`,
    ],
    [
      owner === "app" && wiring.delivery === "sidecar",
      "--deliver sidecar holds the application back until the schema is there, and with --owner app nobody else would bring it: the pod would never start",
    ],
    [
      owner !== "job" && wiring.jobKind !== "plain",
      `--job ${wiring.jobKind} has no effect without --owner job`,
    ],
  ];
  return rules.filter(([isBroken]) => isBroken).map(([, problem]) => problem);
}

/** A Secret, maybe missing, of what seeding reads: the admin's address and password, among others. */
export function seedsSecret({ name }: Wiring): string {
  return `${name}-seeds`;
}

/** Whether the application's pods leave migrations alone: exactly when somebody else owns them. */
export function skips(owner: Owner): boolean {
  return owner !== "app";
}
