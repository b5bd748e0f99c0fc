import { expect, test } from "bun:test";
import { renderDrill, toDrill } from "../../src/cli/render-drill.ts";
import type { DrillReport } from "../../src/flow/drill.ts";

const good: DrillReport = {
  route: "db:6432/app as app",
  isPooled: true,
  scratch: "headgate_drill_0123456789ab",
  migrations: 6,
  free: 80,
  asked: { replicas: 24, kill: 2 },
  replicas: 24,
  race: {
    ends: [],
    kills: [
      { atMs: 1, isInside: true },
      { atMs: 2, isInside: false },
    ],
    recoveryMs: 640.4,
    headAfterMs: 2100.2,
    durationMs: 7000.7,
  },
  contrast: undefined,
  faults: [],
};
const orphan = { pid: 4711, backendStart: "1", state: "idle" };
const faulty: DrillReport = {
  ...good,
  isPooled: false,
  free: 9,
  replicas: 4,
  race: { ...good.race, kills: [], recoveryMs: undefined, headAfterMs: undefined },
  contrast: {
    key: { namespace: 1, ledger: 2 },
    clients: 4,
    killed: 1,
    insideAtOnce: 3,
    lostUnlocks: 2,
    gaveUp: 1,
    failed: 0,
    orphans: [orphan, { ...orphan, pid: 4712 }],
    left: [{ ...orphan, pid: 4712 }],
  },
  faults: [{ kind: "double-run", what: "migration 3 was committed 2 times", why: "Because" }],
};

test("renderDrill() says what was done and ends in the verdict", () => {
  expect(renderDrill(good)).toBe(
    `Drill on db:6432/app as app (through a pooler): 24 runners, 6 migrations, 2 killed, 1 of them inside the gate
  took 7.001 s; after a kill inside the gate the next runner was at work within 640 ms; head was reached 2.1 s after the last kill
Verdict: good. Each of 6 migrations ran once, every surviving runner reached head, and no lock and no session was left
`,
  );
});

test("renderDrill() says what was less than asked for, what was left, and each fault", () => {
  expect(renderDrill(faulty)).toBe(
    `Drill on db:6432/app as app (no pooler seen): 4 runners, 6 migrations, nobody killed
  24 were asked for: half of the 9 free connections is the limit
  2 kills asked for: the race was over before the others
  took 7.001 s
Contrast, a session-level lock (pg_advisory_lock) on the same route: 4 clients, 1 gone while they held it
  at most 3 at a time held it
  2 unlocks reached a session that did not hold it, 1 clients never got it, 0 failed
  pid 4711, 4712 held it when all were gone; ended: 4711
  FAULT: migration 3 was committed 2 times
         Because
Verdict: 1 fault
`,
  );
});

test("toDrill() has whole milliseconds and pids", () => {
  expect(toDrill(good)).toMatchObject({
    verdict: "good",
    killed: 2,
    killed_inside: 1,
    recovery_ms: 640,
    head_after_ms: 2100,
    duration_ms: 7001,
    contrast: null,
  });
  expect(toDrill(faulty)).toMatchObject({
    verdict: "faulty",
    recovery_ms: null,
    contrast: { orphans: [4711, 4712], left: [4712] },
  });
});
