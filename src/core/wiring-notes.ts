/** What a printed manifest says about itself, as lines of comment. */
import {
  type Delivery,
  type JobKind,
  type Owner,
  seedsSecret,
  skips,
  type Wiring,
} from "./wiring.ts";

const OWNERS: Readonly<Record<Owner, string>> = {
  job: "a Job migrates; the pods wait for it and leave migrations alone",
  init: "an init container of every pod migrates, one of them at a time; the application does not",
  app: 'the application migrates when it starts: it must run "headgate up" itself',
};

const DELIVERIES: Readonly<Record<Delivery, readonly string[]>> = {
  install: [
    "an init container copies the binary into an emptyDir. For images with glibc,",
    "           nothing to rebuild; the probe also asks after a restart of the container",
  ],
  copy: [
    "COPY --from=<image> /headgate /headgate in the application's Dockerfile. For",
    "           Alpine take the musl build; the probe also asks after a restart",
  ],
  sidecar: [
    "a native sidecar (Kubernetes 1.29) holds the application back by a startup",
    "           probe of its own. Nothing in the application's image; asks once per pod",
  ],
};

const JOBS: Readonly<Record<JobKind, readonly string[]>> = {
  plain: [
    "The Job is no hook: apply everything at once, the pods wait by themselves. Its name ends in the",
    "bundle's fingerprint, because a Job cannot be changed; it goes a day after its end.",
  ],
  helm: [
    "The Job is a Helm hook before install and upgrade, so the Secret must be there before the release.",
    "Never make it post-install: with --wait Helm waits for pods that wait for a Job that Helm starts",
    "only once they are ready, and the release fails at its timeout.",
  ],
  argo: [
    "The Job is a Sync hook in wave -1: Argo CD runs it at every sync, and the pods behind it. A Job",
    "that is no hook and removes itself would show as out of sync, and run again and again.",
  ],
};

/** For people who read the manifest and not its documentation. */
export function notesOf(wiring: Wiring, format: string): readonly string[] {
  const { owner, delivery, jobKind, secret, expected } = wiring;
  return [
    `Wiring by "headgate manifest ${format}": change its flags and print it again, and both sides`,
    "change together.",
    "",
    `--owner ${owner}: ${OWNERS[owner]}.`,
    ...(owner === "job" ? JOBS[jobKind] : []),
    "",
    `Secret ${secret}: key ${wiring.urlKey}, through the pooler where there is one; key ${wiring.directUrlKey}, past`,
    "it, for migrations (may be missing). Your own variables go in front of those here, so that these win: the",
    "last of two equal names counts, and any of them before envFrom.",
    ...(skips(owner) ? seedNotes(wiring) : []),
    "",
    `Bundle ${expected}: a binary with another one refuses to run and names both.`,
    "",
    "How the binary gets to where the probe runs:",
    ...(Object.keys(DELIVERIES) as readonly Delivery[]).flatMap((way) => [
      `${way === delivery ? "*" : " "} ${`${way}:`.padEnd(9)}${DELIVERIES[way].join("\n")}`,
    ]),
  ].flatMap((text) => text.split("\n"));
}

function seedNotes(wiring: Wiring): readonly string[] {
  return [
    `Secret ${seedsSecret(wiring)} (may be missing): what seeding reads, such as PLATFORM_ADMIN_EMAIL and`,
    "PLATFORM_ADMIN_PASSWORD. Only who migrates gets it.",
  ];
}

/** As YAML comments, ending in a line end. */
export function comment(lines: readonly string[]): string {
  return lines
    .map((line) => `# ${line}`.trimEnd())
    .join("\n")
    .concat("\n");
}
