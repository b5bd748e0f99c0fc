/** Flags of `manifest`; a part of `SETTINGS`. */
import type { Setting } from "./settings.ts";

/** Their names. */
export type ManifestFlag =
  | "owner"
  | "deliver"
  | "job"
  | "name"
  | "image"
  | "appImage"
  | "secret"
  | "urlKey"
  | "directUrlKey"
  | "pods"
  | "jobDeadline"
  | "probeTimeout"
  | "probePeriod"
  | "probeFailures"
  | "out";

/** In the order of the help. */
export const MANIFEST_SETTINGS: Readonly<Record<ManifestFlag, Setting>> = {
  owner: {
    flag: "owner",
    argument: "<who>",
    variables: ["HEADGATE_OWNER"],
    default: "job",
    commands: ["manifest"],
    help: "Who migrates: job, init (an init container) or app",
  },
  deliver: {
    flag: "deliver",
    argument: "<way>",
    variables: ["HEADGATE_DELIVER"],
    default: "install",
    commands: ["manifest"],
    help: "How the binary gets to the probe: install, copy or sidecar",
  },
  job: {
    flag: "job",
    argument: "<kind>",
    variables: ["HEADGATE_JOB"],
    default: "plain",
    commands: ["manifest"],
    help: "plain, or a hook of the tool that deploys: helm, argo",
  },
  name: {
    flag: "name",
    argument: "<name>",
    variables: ["HEADGATE_NAME"],
    default: "app",
    commands: ["manifest"],
    help: "The application's name",
  },
  image: {
    flag: "image",
    argument: "<image>",
    variables: ["HEADGATE_IMAGE"],
    commands: ["manifest"],
    help: "headgate's image, for Job and pods alike (headgate:<version>)",
  },
  appImage: {
    flag: "app-image",
    argument: "<image>",
    variables: ["HEADGATE_APP_IMAGE"],
    commands: ["manifest"],
    help: "The application's image (app:latest; compose: headgate asleep)",
  },
  secret: {
    flag: "secret",
    argument: "<name>",
    variables: ["HEADGATE_SECRET"],
    commands: ["manifest"],
    help: "Secret that holds the database URLs (<name>-database)",
  },
  urlKey: {
    flag: "url-key",
    argument: "<key>",
    variables: ["HEADGATE_URL_KEY"],
    default: "url",
    commands: ["manifest"],
    help: "Its key of the application's URL, through the pooler if any",
  },
  directUrlKey: {
    flag: "direct-url-key",
    argument: "<key>",
    variables: ["HEADGATE_DIRECT_URL_KEY"],
    default: "direct-url",
    commands: ["manifest"],
    help: "Its key of the URL past the pooler; need not be there",
  },
  pods: {
    flag: "pods",
    argument: "<n>",
    variables: ["HEADGATE_PODS"],
    default: "3",
    commands: ["manifest"],
    help: "How many pods the application has",
  },
  jobDeadline: {
    flag: "job-deadline",
    argument: "<duration>",
    variables: ["HEADGATE_JOB_DEADLINE"],
    default: "10m",
    commands: ["manifest"],
    help: "Bound of the Job, above --lock-wait",
  },
  probeTimeout: {
    flag: "probe-timeout",
    argument: "<duration>",
    variables: ["HEADGATE_PROBE_TIMEOUT"],
    default: "2s",
    commands: ["manifest"],
    help: "timeoutSeconds of the probe, above --timeout",
  },
  probePeriod: {
    flag: "probe-period",
    argument: "<duration>",
    variables: ["HEADGATE_PROBE_PERIOD"],
    default: "5s",
    commands: ["manifest"],
    help: "periodSeconds of the probe",
  },
  probeFailures: {
    flag: "probe-failures",
    argument: "<n>",
    variables: ["HEADGATE_PROBE_FAILURES"],
    default: "132",
    commands: ["manifest"],
    help: "failureThreshold; times the period it is above --job-deadline",
  },
  out: {
    flag: "out",
    argument: "<folder>",
    variables: ["HEADGATE_OUT"],
    commands: ["manifest"],
    help: "Write files there; helm and kustomize need it",
  },
};
