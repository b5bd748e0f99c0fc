import { describe, expect, test } from "bun:test";
import { type Sighting, sightHolder, whyAwake } from "../../src/core/idle-holder.ts";
import type { Lock } from "../../src/core/locks.ts";
import { ROW } from "./lock-row.ts";

const RUN = "11111111-2222-3333-4444-555555555555";
const HOLDER: Lock = {
  ...ROW,
  kind: "lock-id",
  tool: undefined,
  key: { kind: "bigint", value: 5n },
};
const lock = (changes: Partial<Lock> = {}): Lock => ({ ...HOLDER, ...changes });
const seen = (changes: Partial<Lock> = {}, idleSinceMs = 10_000): Sighting => ({
  holder: lock(changes),
  idleSinceMs,
});
const NOW_MS = 100_000;

describe("sightHolder() at the first look", () => {
  const table: readonly [when: string, lock: Lock, idleSinceMs: number | undefined][] = [
    ["an idle holder", lock(), 10_000],
    ["a holder of the gate's key", lock({ kind: "step" }), 10_000],
    ["our own session, lent by a pooler", lock({ isOurs: true, state: "active" }), NOW_MS],
    ["a session that last answered a headgate", lock({ run: RUN }), NOW_MS],
    ["a state that the server hides", lock({ state: null, stateAgeMs: null }), NOW_MS],
    ["a holder in a transaction", lock({ isSessionIdle: false }), undefined],
    ["a holder at work", lock({ state: "active" }), undefined],
    ["a prepared transaction", lock({ pid: null }), undefined],
    ["a waiter", lock({ isGranted: false }), undefined],
    ["another tool's key", lock({ kind: "tool" }), undefined],
    ["an unknown key", lock({ kind: "unknown" }), undefined],
    ["another runner that watches", lock({ kind: "reclaim" }), undefined],
  ];
  test.each(table)("of %s", (_when, holder, idleSinceMs) => {
    expect(sightHolder(undefined, [holder], NOW_MS)?.idleSinceMs).toBe(idleSinceMs);
  });
});

describe("sightHolder() at a later look", () => {
  const table: readonly [when: string, now: Lock, why: string | undefined][] = [
    ["nothing happened", lock({ stateAgeMs: 95_000 }), undefined],
    ["a headgate asked there", lock({ run: RUN, stateChange: "9", stateAgeMs: 1 }), undefined],
    ["we ask there", lock({ isOurs: true, state: "active", stateChange: "9" }), undefined],
    [
      "a headgate asks there right now",
      lock({ isSessionIdle: false, state: "active", run: RUN }),
      undefined,
    ],
    [
      "it did something",
      lock({ stateChange: "9", stateAgeMs: 1 }),
      "it did something between two samples",
    ],
    [
      "it works",
      lock({ isSessionIdle: false, state: "active" }),
      "it works, or it let go of the lock",
    ],
    [
      "another session has its pid",
      lock({ backendStart: "7" }),
      "another session holds the lock now",
    ],
    ["another one holds it", lock({ pid: 4712 }), "another session holds the lock now"],
  ];
  test.each(table)("when %s", (_when, now, why) => {
    expect(whyAwake(seen(), sightHolder(seen(), [now], NOW_MS))).toBe(why);
  });

  test("it tells a new sight from none", () => {
    const before = seen();
    const asked = lock({ isSessionIdle: false, state: "active", run: RUN });
    expect(sightHolder(before, [asked], NOW_MS)).toBe(before);
    expect(sightHolder(before, [lock()], NOW_MS)).not.toBe(before);
  });

  test("what a headgate hid is found once the holder does something itself", () => {
    const hidden = sightHolder(undefined, [lock({ run: RUN })], NOW_MS);
    const awake = lock({ stateChange: "9", stateAgeMs: 0 });
    expect(sightHolder(hidden, [awake], NOW_MS + 500)?.idleSinceMs).toBe(NOW_MS + 500);
  });
});
