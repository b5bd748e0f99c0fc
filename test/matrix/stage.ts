/** A case on its place: who is started there, how, and how they end. */
import { type FaultRelay, openFaultRelay } from "../support/fault-relay.ts";
import { type RunOptions, type Started, start, withUrl } from "../support/headgate.ts";
import { atAddress } from "../support/postgres-admin.ts";
import { type Case, FAULTS, MOMENTS } from "./cases.ts";
import type { End } from "./evidence.ts";
import { bundleOf, type Place } from "./site.ts";
import { VICTIM, type Watch } from "./watch.ts";

/** Which binaries run, and how patient the others are. */
export interface Cast {
  /** A test build: the one that is harmed. */
  readonly victim: string;
  /** Undefined: the shipped one. */
  readonly others?: string | undefined;
  readonly lockWait?: string | undefined;
}

export interface Stage {
  readonly place: Place;
  readonly each: Case;
  readonly cast: Cast;
  readonly watch: Watch;
  readonly relay: FaultRelay | undefined;
}

const END_PATIENCE_MS = 180_000;
const LAST_WORDS_CHARS = 1000;
/** What a hash costs is no concern here, and neither is a password. */
const SEEDING = {
  ARGON2ID_TIME_COST: "1",
  ARGON2ID_MEMORY_COST: "64",
  PLATFORM_ADMIN_PASSWORD: "matrix-7",
};

/** The one that is harmed. @param env Of its hold. */
export function startVictim(stage: Stage, env: Readonly<Record<string, string>>): Started {
  const options = withUrl(urlFor(stage, VICTIM), { ...SEEDING, ...env });
  // A body whose answer never comes is ended by the deadline; others wait longer than that.
  const deadline = stage.each.fault === "line silent" ? ["--deadline", "60s"] : [];
  return start([...upOf(stage), ...deadline], { ...options, binary: stage.cast.victim });
}

/** Another `up`, by the shipped binary unless the cast says otherwise. */
export function startOther(stage: Stage, name: string): Started {
  const binary = stage.cast.others;
  const options = optionsOf(stage, name);
  return start(upOf(stage), binary === undefined ? options : { ...options, binary });
}

/** The case's way, in this name. */
export function optionsOf({ place }: Stage, name: string): RunOptions {
  const url = new URL(place.url);
  url.searchParams.set("application_name", name);
  return withUrl(url.href, SEEDING);
}

function upOf({ each, cast }: Stage): readonly string[] {
  return ["up", ...bundleOf(each), "--lock-wait", cast.lockWait ?? "100s"];
}

/** The victim's own way, through the relay where there is one. */
function urlFor({ place, relay }: Stage, name: string): string {
  const url = new URL(relay ? atAddress(place.url, relay) : place.url);
  url.searchParams.set("application_name", name);
  url.searchParams.set("sslmode", "disable");
  return url.href;
}

/** Where the line itself is harmed, or an answer kept back. */
export async function relayOf(place: Place, each: Case): Promise<FaultRelay | undefined> {
  const isAnswer = MOMENTS[each.moment].at === "answer";
  if (!isAnswer && FAULTS[each.fault].target !== "line") return undefined;
  const { hostname, port } = new URL(place.url);
  const word = isAnswer ? { text: "commit\0", nth: each.passage } : undefined;
  return openFaultRelay({ host: hostname, port: Number(port) }, word);
}

/** How it ended; it is killed when all patience is gone. */
export async function endOf(who: End["who"], started: Started): Promise<End> {
  const run = await Promise.race([started.done, Bun.sleep(END_PATIENCE_MS)]);
  if (run) {
    const { status, events } = run;
    const said = events.find(({ event }) => event === "command.failed")?.["reason"];
    const reason = said === undefined && who === "status" ? run.stdout : said;
    return { who, status, reason: reason === undefined ? undefined : String(reason) };
  }
  started.kill("SIGKILL");
  const { stderr } = await started.done;
  return { who, status: undefined, reason: stderr.slice(-LAST_WORDS_CHARS) };
}
