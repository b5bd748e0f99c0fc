/**
 * `locks release PID`: ends one session that holds a lock, seldom and never by itself. Four facts
 * force its shape; `test/e2e/locks.test.ts` shows them:
 *
 * (1) SQL cannot tell an orphan from an idle living holder. So a person confirms, or `--yes` does.
 * (2) A pooled session that is idle now may be at work in a second. So it is looked at four times,
 *     and the statement that ends it looks once more.
 * (3) Through a pooler our own questions may be served by the very session that holds the lock, and
 *     would make it look alive. So they are asked inside one open transaction on another session (`beside.ts`).
 * (4) While a person thinks, anything may change. So the samples come after the answer.
 */
import { INSUFFICIENT_PRIVILEGE, sqlStateOf } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import { describeHolder, describeLock, type Lock, whyLiving } from "../core/locks.ts";
import { terminateHolder } from "../db/terminate.ts";
import type { Confirm } from "../ports.ts";
import type { Access, World } from "./access.ts";
import { beside, type Look } from "./beside.ts";
import { mayNotEnd } from "./may-not-end.ts";

/** What the command line asks for. */
export interface ReleaseWish {
  readonly pid: number;
  readonly lockId: bigint | undefined;
  /** Over which the samples are spread. */
  readonly sampleMs: number;
  /** Nobody is asked. */
  readonly isConfirmed: boolean;
  /** A living holder may be ended too. */
  readonly isForced: boolean;
}

const PAUSES = 3;

/**
 * Ends the session of this pid, and says which lock it held.
 *
 * @throws {HeadgateError} `refused` when it lives or holds nothing; `usage` when nobody can be asked
 */
export async function releaseLock(
  world: World,
  access: Access,
  wish: ReleaseWish,
  confirm: Confirm,
): Promise<Lock> {
  const holder = await beside(world, access, wish, (look) => look.holder());
  if (!wish.isForced) refuseLiving(wish, holder, holder);
  if (!wish.isConfirmed) await ask(holder, confirm);
  return beside(world, access, wish, async (look) => {
    const first = await look.holder();
    if (first.backendStart !== holder.backendStart) refuseLiving(wish, holder, first);
    if (!wish.isForced) await sample(world, wish, look, first);
    await end(look, wish, first);
    world.log("lock.released", {
      lock: describeLock(first),
      holder_pid: wish.pid,
      holder_address: first.address,
      holder_application: first.application,
      forced: wish.isForced,
    });
    return first;
  });
}

async function ask(holder: Lock, confirm: Confirm): Promise<void> {
  const answer = await confirm(`${describeHolder(holder)}\nEnd this session?`);
  if (answer === true) return;
  if (answer === false) {
    throw new HeadgateError(`Cannot release the lock of pid ${holder.pid}: not confirmed`, {
      code: "refused",
    });
  }
  throw new HeadgateError(
    `Cannot release the lock of pid ${holder.pid} unasked: ${describeHolder(holder)}`,
    { code: "usage", hint: "Run it on a terminal, or add --yes: it may end a living session" },
  );
}

async function sample(world: World, wish: ReleaseWish, look: Look, first: Lock): Promise<void> {
  refuseLiving(wish, first, first);
  for (let i = 0; i < PAUSES; i += 1) {
    await world.clock.sleep(wish.sampleMs / PAUSES);
    refuseLiving(wish, first, await look.find());
  }
}

function refuseLiving({ pid }: ReleaseWish, first: Lock, now: Lock | undefined): void {
  const why = whyLiving(first, now);
  if (why === undefined) return;
  throw new HeadgateError(`Cannot release the lock of pid ${pid}: ${why}`, {
    code: "refused",
    hint: 'Look at it with "headgate locks"; --force ends it all the same, and what it does is rolled back',
  });
}

async function end({ connection, place }: Look, wish: ReleaseWish, holder: Lock): Promise<void> {
  const how = await terminateHolder(connection, place, { holder, isForced: wish.isForced }).catch(
    (error: unknown) => {
      throw sqlStateOf(error) === INSUFFICIENT_PRIVILEGE ? mayNotEnd(holder, error) : error;
    },
  );
  if (how === "ended") return;
  const why =
    how === "changed"
      ? "it did something between the last sample and the end"
      : "it was told to end, and has not within 5 s";
  throw new HeadgateError(`Cannot release the lock of pid ${wish.pid}: ${why}`, {
    code: "refused",
    hint: 'Look again with "headgate locks"',
  });
}
