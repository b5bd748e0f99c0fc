/** Runs one case from an empty database to its evidence. */
import { type FaultRelay, openFaultRelay } from "../support/fault-relay.ts";
import {
  headgate,
  type Run,
  type RunOptions,
  type Started,
  start,
  withUrl,
} from "../support/headgate.ts";
import { atAddress } from "../support/postgres-admin.ts";
import { isAtHead, leftBehind } from "./aftermath.ts";
import { type Case, FAULTS, MOMENTS } from "./cases.ts";
import { DEEDS, type Scene } from "./deeds.ts";
import type { Answer, End, Evidence, Settled, Tail } from "./evidence.ts";
import { openHold } from "./hold.ts";
import { boundMsOf, needsPerson } from "./invariants.ts";
import { settle } from "./person.ts";
import { bundleOf, type Place, type Site } from "./site.ts";
import { openWatch, PROBE, VICTIM, type Watch } from "./watch.ts";

/** Which binaries run, and how patient the others are. */
export interface Cast {
  /** A test build: the one that is harmed. */
  readonly victim: string;
  /** Undefined: the shipped one. */
  readonly others?: string | undefined;
  readonly lockWait?: string | undefined;
}

const WAITERS = 2;
const END_PATIENCE_MS = 120_000;
/** How far beyond its bound a lock is still looked for. */
const TAIL_PATIENCE_MS = 5000;
/** What a hash costs is no concern here, and neither is a password. */
const SEEDING = {
  ARGON2ID_TIME_COST: "1",
  ARGON2ID_MEMORY_COST: "64",
  PLATFORM_ADMIN_PASSWORD: "matrix-7",
};

export async function runCase(site: Site, each: Case, cast: Cast): Promise<Evidence> {
  const startMs = performance.now();
  const { family } = MOMENTS[each.moment];
  const place = await site.open(each);
  const watch = openWatch(place.database.url, family);
  const relay = await relayOf(place, each);
  try {
    const facts = await play({ place, each, cast, watch, relay });
    return { each, ...facts, wallMs: performance.now() - startMs };
  } finally {
    await watch.stop();
    await relay?.close();
    await place.close();
  }
}

interface Stage {
  readonly place: Place;
  readonly each: Case;
  readonly cast: Cast;
  readonly watch: Watch;
  readonly relay: FaultRelay | undefined;
}

type Facts = Omit<Evidence, "each" | "wallMs">;

async function play(stage: Stage): Promise<Facts> {
  const { each, watch, cast, relay } = stage;
  const { url } = stage.place.database;
  const hold = await openHold({ each, url, relay });
  const victim = start(upOf(stage), {
    ...withUrl(urlFor(stage, VICTIM), { ...SEEDING, ...hold.env }),
    binary: cast.victim,
  });
  try {
    await Promise.race([hold.reached(), victim.done.then(endedEarly)]);
    const waiters = Array.from({ length: WAITERS }, (_, n) => startOther(stage, `waiter-${n}`));
    await Bun.sleep(400 * each.chance);
    const { tails, answers } = await harm(stage, { victim, waiters, hold });
    const ends = [
      await endOf("victim", victim),
      ...(await Promise.all(waiters.map((waiter) => endOf("waiter", waiter)))),
    ];
    const { settled, converged } = await converge(stage);
    const last = await watch.look();
    const left = await leftBehind(url, each.moment, last);
    const seen = await watch.stop();
    return { ends: [...ends, ...converged], tails, answers, settled, left, seen };
  } finally {
    victim.kill("SIGKILL");
    await hold.release();
  }
}

function endedEarly({ status, stderr }: Run): never {
  throw new Error(`the victim ended with ${status} before its moment: ${stderr}`);
}

interface Actors {
  readonly victim: Started;
  readonly waiters: readonly Started[];
  readonly hold: Scene["hold"];
}

/** The deed, with a probe on either side of it. */
async function harm(
  stage: Stage,
  actors: Actors,
): Promise<{ readonly tails: readonly Tail[]; readonly answers: readonly Answer[] }> {
  const { each, watch } = stage;
  const boundMs = boundMsOf(each);
  await watch.look();
  const pinned = watch.holders().map(({ session }) => session);
  let lifeEndMs = Date.now();
  const isHeld = (): boolean => watch.holders().some(({ session }) => pinned.includes(session));
  const untilUnlocked = async (): Promise<void> => {
    const endMs = Date.now() + (boundMs ?? 0) + TAIL_PATIENCE_MS;
    do await watch.look();
    while (isHeld() && Date.now() < endMs);
  };
  const release = async (): Promise<void> => {
    // A frozen or cut off holder is borne from when its statement ends.
    if (each.fault === "long freeze" || each.fault === "line silent") lifeEndMs = Date.now();
    await actors.hold.release();
  };
  const hold = { ...actors.hold, release };
  const others = actors.waiters.map(({ done }) => done);
  const probes = [probe(stage)];
  if (each.fault === "SIGTERM") void actors.victim.done.then(() => (lifeEndMs = Date.now()));
  await DEEDS[each.fault]({ ...stage, victim: actors.victim, hold, others, untilUnlocked });
  probes.push(probe(stage));
  if (each.fault === "SIGTERM") {
    await endOf("victim", actors.victim);
    await untilUnlocked();
  }
  const tails = pinned.map((session): Tail | undefined => {
    if (boundMs === undefined) return undefined;
    return { ms: Math.max(0, (watch.lastHeld(session) ?? 0) - lifeEndMs), boundMs };
  });
  return { tails: tails.filter((tail) => tail !== undefined), answers: await Promise.all(probes) };
}

async function probe(stage: Stage): Promise<Answer> {
  const { each, place, watch } = stage;
  const url = new URL(place.probeUrl);
  url.searchParams.set("application_name", PROBE);
  const run = await headgate(
    ["probe", ...bundleOf(each)],
    withUrl(url.href, { HEADGATE_TIMEOUT: "2s" }),
  );
  const look = run.status === 0 ? await watch.look() : undefined;
  return {
    status: run.status,
    reason: run.stderr + run.stdout,
    isAtHead: look === undefined || isAtHead(look, each.moment),
  };
}

async function converge(
  stage: Stage,
): Promise<{ readonly settled: Settled | undefined; readonly converged: readonly End[] }> {
  const { each, place } = stage;
  const first = startOther(stage, "converger");
  const refused = await first.done;
  let settled: Settled | undefined;
  let end = await endOf("converger", first);
  if (refused.status === 4 && needsPerson(each)) {
    const plight = {
      refused,
      bundle: bundleOf(each),
      url: place.database.url,
      finishes: each.chance < 0.5,
    };
    settled = await settle({ ...plight, options: optionsOf(stage, "person") });
    end = await endOf("converger", startOther(stage, "converger"));
  }
  const args = ["status", ...bundleOf(each), "--exit-code"];
  const status = start(args, optionsOf(stage, "status"));
  return { settled, converged: [end, await endOf("status", status)] };
}

function startOther(stage: Stage, name: string): Started {
  const binary = stage.cast.others;
  const options = optionsOf(stage, name);
  return start(upOf(stage), binary === undefined ? options : { ...options, binary });
}

function optionsOf({ place }: Stage, name: string): RunOptions {
  const url = new URL(place.url);
  url.searchParams.set("application_name", name);
  return withUrl(url.href, SEEDING);
}

function upOf({ each, cast }: Stage): readonly string[] {
  const isCutOff = each.fault === "line silent";
  const deadline = isCutOff ? ["--deadline", "40s"] : [];
  return ["up", ...bundleOf(each), "--lock-wait", cast.lockWait ?? "60s", ...deadline];
}

/** The victim's own way, through the relay where there is one. */
function urlFor({ place, relay }: Stage, name: string): string {
  const url = new URL(relay ? atAddress(place.url, relay) : place.url);
  url.searchParams.set("application_name", name);
  url.searchParams.set("sslmode", "disable");
  return url.href;
}

async function relayOf(place: Place, each: Case): Promise<FaultRelay | undefined> {
  const isAnswer = MOMENTS[each.moment].at === "answer";
  if (!isAnswer && FAULTS[each.fault].target !== "line") return undefined;
  const { hostname, port } = new URL(place.url);
  const word = isAnswer ? { text: "commit\0", nth: each.passage } : undefined;
  return openFaultRelay({ host: hostname, port: Number(port) }, word);
}

async function endOf(who: End["who"], started: Started): Promise<End> {
  const run = await Promise.race([started.done, Bun.sleep(END_PATIENCE_MS)]);
  if (run) {
    const { status, events } = run;
    const said = events.find(({ event }) => event === "command.failed")?.["reason"];
    const reason = said === undefined && who === "status" ? run.stdout : said;
    return { who, status, reason: reason === undefined ? undefined : String(reason) };
  }
  started.kill("SIGKILL");
  return { who, status: undefined, reason: undefined };
}
