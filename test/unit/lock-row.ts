/** A session that holds a lock and idles. */
import type { LockRow } from "../../src/core/locks.ts";

export const ROW: LockRow = {
  key: { kind: "bigint", value: 42424242424242n },
  mode: "ExclusiveLock",
  isGranted: true,
  pid: 4711,
  gid: null,
  isSessionIdle: true,
  isOurs: false,
  address: "10.0.0.7:5000",
  application: "app",
  user: "me",
  state: "idle",
  run: null,
  xactAgeMs: null,
  stateAgeMs: 90_000,
  backendStart: "1.5",
  stateChange: "2.5",
  statement: "select 1",
  blockedBy: [],
};
