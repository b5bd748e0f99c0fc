/** The one way that everything of a drill goes: past the pooler, where `up` would go past it. */
import type { Scratch } from "../core/drill-scratch.ts";
import { describeTarget } from "../core/target.ts";
import type { Connection } from "../ports.ts";
import { type Access, connect, type World } from "./access.ts";

/** Connections to where the gate would be. */
export interface Route {
  /** `db:6432/app as app` */
  readonly name: string;
  /** Ends when the process is told to stop. */
  readonly open: () => Connection;
  /** Does not end then: for taking back what the drill has left. */
  readonly openCalm: () => Connection;
}

/** One route instead of two: who may read a scratch place through the other is nobody's question. */
export function routeOf(world: World, access: Access): Route {
  const target = access.direct ?? access.main;
  const calm: World = { ...world, stop: new AbortController().signal };
  return {
    name: describeTarget(target),
    open: () => connect(world, access, target),
    openCalm: () => connect(calm, access, target),
  };
}

/** The same route for a runner, with the drill's ledger in the place of the user's. */
export function drillAccess(access: Access, { ledger }: Scratch): Access {
  return { ...access, main: access.direct ?? access.main, direct: undefined, ledger };
}
