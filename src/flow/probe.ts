/**
 * `probe`: is the schema at head? Reads, and nothing else: one connection, one question, no ledger
 * created, no lock taken. Every failure is an answer too, and the answer is no.
 */
import { type Head, isReady, type Policy, type TipState } from "../core/head.ts";
import { type Access, connectReader, type World } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";
import type { RequiredSeeds } from "./required-seeds.ts";
import { readableName, readTipState } from "./state.ts";

/** The answer and its reason. */
export interface ProbeReport {
  readonly isReady: boolean;
  readonly state: TipState["kind"] | "seeds-stale" | "unreadable";
  /** The bundle's last version. */
  readonly head: number;
  /** One line: what was found, and the next step when it is not head. */
  readonly reason: string;
}

/** What counts as ready. */
export interface ProbeWish {
  readonly policy: Policy;
  /** Undefined: seeds do not matter. */
  readonly seeds: RequiredSeeds | undefined;
}

/** Never throws for what the database says; the process's own end rejects it. */
export async function probe(
  world: World,
  access: Access,
  head: Head,
  wish: ProbeWish,
): Promise<ProbeReport> {
  const { policy, seeds } = wish;
  const connection = connectReader(world, access);
  try {
    const name = await readableName(connection, access.main, access.ledger);
    const { state } = await readTipState(connection, name, head);
    if (seeds && isReady(state, policy)) {
      const { staleSeeds } = await import("./required-seeds.ts");
      const stale = await staleSeeds(connection, name, seeds, access.main.searchPath);
      if (stale !== undefined) {
        const reason = `seeds-stale: ${stale}; see "headgate seed"`;
        return { isReady: false, state: "seeds-stale", head: head.version, reason };
      }
    }
    return {
      isReady: isReady(state, policy),
      state: state.kind,
      head: head.version,
      reason: reasonOf(state, head, policy),
    };
  } catch (error) {
    if (world.stop.aborted) throw world.stop.reason;
    const { message, hint } = unreadableError(error, access.ledger);
    const reason = hint === undefined ? message : `${message}. ${hint}`;
    return { isReady: false, state: "unreadable", head: head.version, reason };
  } finally {
    await connection.close();
  }
}

function reasonOf(state: TipState, head: Head, policy: Policy): string {
  switch (state.kind) {
    case "at-head":
      return `at head: version ${head.version}`;
    case "ahead": {
      const newest = state.extra.at(-1)?.version;
      if (state.breaking)
        return `ahead: the database is at ${newest}, and a newer version is marked breaking`;
      const tail =
        policy === "exact" ? "and --policy exact accepts no newer schema" : "which is ready";
      return `ahead: the database is at ${newest}, this bundle at ${head.version}, ${tail}`;
    }
    case "fresh":
      return `fresh: nothing is applied yet, head is version ${head.version}`;
    case "behind":
      return `behind: the database is at ${state.at}, head is version ${head.version}`;
    case "running":
      return `running: migration ${state.row.version} ${state.row.name} is being built`;
    case "interrupted":
      return `interrupted: migration ${state.row.version} ${state.row.name} is ${state.row.state}, and nobody works on it; see "headgate status"`;
    case "drifted":
      return `drifted: version ${state.drift.version} or one below it is not what this bundle has; see "headgate status"`;
  }
}
