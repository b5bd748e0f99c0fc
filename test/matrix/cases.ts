/** Fault × moment × route: every case that makes sense, in an order that a seed decides. Pure. */
import type { FaultPoint } from "../support/fault-build.ts";

/** How the processes reach the server: directly, or through a pool of so many. */
export type Route = "direct" | "pool-1" | "pool-2" | "pool-10";

/** What a moment is part of, which decides the migrations and what is looked at. */
export type Family = "inside" | "outside" | "seed";

/** When the harm is done. */
export interface Moment {
  readonly family: Family;
  /** How the moment is recognised: a stop in the program, or what the server or the wire shows. */
  readonly at: FaultPoint | "body" | "lock-wait" | "build" | "answer";
  /** A statement of the victim's runs on the server. */
  readonly isBusy?: true;
  /** It happens once per migration, so that either of the two can be the one. */
  readonly isRepeated?: true;
  /** A statement that may not be repeated can be interrupted: then a person must decide. */
  readonly needsPerson?: true;
}

/** In the order of the protocol. */
const IN_ORDER = {
  "before lock": { family: "inside", at: "before-lock", isRepeated: true },
  "after lock": { family: "inside", at: "after-lock", isRepeated: true },
  "ledger locked": { family: "inside", at: "after-ledger", isRepeated: true },
  "statement runs": { family: "inside", at: "body", isBusy: true, isRepeated: true },
  "statement waits": { family: "inside", at: "lock-wait", isBusy: true },
  "before row": { family: "inside", at: "before-row", isRepeated: true },
  "before commit": { family: "inside", at: "before-commit", isRepeated: true },
  "commit unanswered": { family: "inside", at: "answer", isRepeated: true },
  "after commit": { family: "inside", at: "after-commit", isRepeated: true },
  "before exit": { family: "inside", at: "before-exit" },
  "before signal": { family: "outside", at: "before-signal" },
  "signal given": { family: "outside", at: "after-signal" },
  "after claim": { family: "outside", at: "after-claim" },
  "index is built": { family: "outside", at: "build", isBusy: true },
  "statement done": { family: "outside", at: "after-statement", isRepeated: true },
  "between statements": { family: "outside", at: "between-statements" },
  "before finish": { family: "outside", at: "before-finish" },
  "after finish": { family: "outside", at: "after-finish" },
  "unrepeatable runs": { family: "outside", at: "body", isBusy: true, needsPerson: true },
  "rows seeded": { family: "seed", at: "seed-inside" },
  "before seeds' commit": { family: "seed", at: "before-commit" },
  "seeds' commit unanswered": { family: "seed", at: "answer" },
} as const;
export type MomentName = keyof typeof IN_ORDER;
export const MOMENTS: Readonly<Record<MomentName, Moment>> = IN_ORDER;

/** What is done to the victim, its line, the pooler or the server. */
export interface Fault {
  /** What is harmed. A case that harms a pooler has one of its own. */
  readonly target: "process" | "line" | "pooler" | "server";
  /** Other cases on the same server would suffer too. */
  readonly isDisruptive?: true;
}

const HARMS = {
  SIGKILL: { target: "process" },
  SIGTERM: { target: "process" },
  "short freeze": { target: "process" },
  "long freeze": { target: "process" },
  "line silent": { target: "line" },
  "line reset": { target: "line" },
  "backend terminated": { target: "server" },
  "server restarted": { target: "server", isDisruptive: true },
  "server crashed": { target: "server", isDisruptive: true },
  "pooler restarted": { target: "pooler" },
  "pooler KILL": { target: "pooler" },
  "pooler PAUSE": { target: "pooler" },
} as const;
export type FaultName = keyof typeof HARMS;
export const FAULTS: Readonly<Record<FaultName, Fault>> = HARMS;

/** One harm, once. */
export interface Case {
  readonly fault: FaultName;
  readonly moment: MomentName;
  readonly route: Route;
  /** Which of the two migrations it hits. */
  readonly passage: 1 | 2;
  /** 0..1: what else is left to chance, such as pauses. */
  readonly chance: number;
}

const ROUTES: Readonly<Record<Family, readonly Route[]>> = {
  inside: ["direct", "pool-2", "pool-1"],
  outside: ["direct", "pool-10", "pool-2", "pool-1"],
  seed: ["direct", "pool-2"],
};
/** A pool of one differs from one of two in what has to be waited for, not in what can break. */
const IN_A_POOL_OF_ONE: ReadonlySet<FaultName> = new Set<FaultName>([
  "SIGKILL",
  "long freeze",
  "backend terminated",
  "pooler KILL",
]);

/** Every case, in the order that the seed gives. */
export function allCases(seed: number): readonly Case[] {
  const random = randomOf(seed);
  const faults = Object.keys(FAULTS) as readonly FaultName[];
  const moments = Object.keys(MOMENTS) as readonly MomentName[];
  const cases = moments.flatMap((moment) =>
    ROUTES[MOMENTS[moment].family].flatMap((route) =>
      faults
        .filter((fault) => makesSense(fault, route))
        .map((fault) => {
          const passage: 1 | 2 = MOMENTS[moment].isRepeated && random() < 0.5 ? 2 : 1;
          return { fault, moment, route, passage, chance: random() };
        }),
    ),
  );
  return shuffled(cases, random);
}

function makesSense(fault: FaultName, route: Route): boolean {
  if (route === "direct") return FAULTS[fault].target !== "pooler";
  return route !== "pool-1" || IN_A_POOL_OF_ONE.has(fault);
}

/** The first ones of the order with every fault and every moment among them, as far as `size` allows. */
export function sampleOf(cases: readonly Case[], size: number): readonly Case[] {
  const faults = new Set<string>();
  const moments = new Set<string>();
  const [fresh, others]: [Case[], Case[]] = [[], []];
  for (const each of cases) {
    const isFresh = !faults.has(each.fault) || !moments.has(each.moment);
    (isFresh ? fresh : others).push(each);
    faults.add(each.fault);
    moments.add(each.moment);
  }
  return [...fresh, ...others].slice(0, size);
}

/** What keeps the victim at its moment is not in its own hands, such as a statement that runs. */
export function isHeldElsewhere({ moment }: Pick<Case, "moment">): boolean {
  return ["body", "lock-wait", "build", "answer"].includes(MOMENTS[moment].at);
}

/** Which migrations a case runs. */
export function bundleName(
  moment: MomentName,
): "embedded" | "waiting" | "plain" | "indexes" | "unrepeatable" {
  const { family, at } = MOMENTS[moment];
  if (family === "seed") return "embedded";
  if (family === "inside") return at === "lock-wait" ? "waiting" : "plain";
  return MOMENTS[moment].needsPerson ? "unrepeatable" : "indexes";
}

/** Its name, by which it can be run alone. */
export function nameOf({ fault, moment, route, passage }: Case): string {
  const which = MOMENTS[moment].isRepeated ? ` ${passage}` : "";
  return `${fault} / ${moment}${which} / ${route}`;
}

function shuffled<T>(list: readonly T[], random: () => number): readonly T[] {
  const deck = [...list];
  for (let left = deck.length; left > 1; left -= 1) {
    const chosen = Math.floor(random() * left);
    [deck[left - 1], deck[chosen]] = [deck[chosen] as T, deck[left - 1] as T];
  }
  return deck;
}

/** mulberry32: 0 ≤ n < 1, the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
