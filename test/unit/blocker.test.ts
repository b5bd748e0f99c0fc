import { expect, test } from "bun:test";
import { type Blocker, blockerFields, describeBlocker, namesIn } from "../../src/core/blocker.ts";

const dump: Blocker = {
  pid: 7,
  gid: null,
  user: "dump",
  state: "active",
  query: "COPY t TO stdout",
  ageMs: 60_000,
  mode: "AccessShareLock",
  relation: "t",
};

const table: readonly [what: string, blocker: Partial<Blocker>, sentence: string][] = [
  [
    "a session that works",
    {},
    'pid 7 holds AccessShareLock on t, in a transaction of 60000 ms (role dump, active: "COPY t TO stdout")',
  ],
  [
    "a session of another role",
    { state: null, query: "<insufficient privilege>", ageMs: null },
    "pid 7 holds AccessShareLock on t (role dump, its statement is hidden from this role)",
  ],
  [
    "an old snapshot, which has no lock on the table",
    { mode: null, relation: null, state: "idle in transaction", query: "select 1" },
    'pid 7 is in the way, in a transaction of 60000 ms (role dump, idle in transaction: "select 1")',
  ],
  [
    "a prepared transaction, which has no process",
    { pid: null, gid: "two-phase", user: null, state: null, query: null },
    "prepared transaction two-phase holds AccessShareLock on t, in a transaction of 60000 ms",
  ],
];

test.each(table)("describeBlocker() of %s", (_what, change, sentence) => {
  expect(describeBlocker({ ...dump, ...change })).toBe(sentence);
});

test("blockerFields() has the first, and nothing for nobody", () => {
  expect(blockerFields([dump, { ...dump, pid: 8 }])).toMatchObject({
    blocker_pid: 7,
    blocker_user: "dump",
    blocker_query: "COPY t TO stdout",
    blocker_age_ms: 60_000,
    blocker_lock: "AccessShareLock",
    blocker_relation: "t",
  });
  expect(blockerFields([])).toEqual({});
});

const texts: readonly [sql: string, names: readonly string[]][] = [
  ["", []],
  ["ALTER TABLE Orders add x int", ["alter", "table", "orders", "add", "x", "int"]],
  ['lock "My ""T""", s."Öl", öl$1', ["lock", 'My "T"', "s", "Öl", "öl$1"]],
  ["do $$ begin drop table a; end $$; -- a", ["do", "begin", "drop", "table", "a", "end"]],
];

test.each(texts)("namesIn() of %p", (sql, names) => {
  expect(namesIn(sql)).toEqual([...names]);
});
