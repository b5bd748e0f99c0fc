import { expect, test } from "bun:test";
import { isSameIndexBody } from "../../src/core/index-definition.ts";

const SERVER = "CREATE UNIQUE INDEX i ON public.t USING btree (c, lower(d)) WHERE (e > 0)";

const table: readonly [ours: string, theirs: string, then: boolean][] = [
  ["create index concurrently i on t (c);", "CREATE INDEX i ON public.t USING btree (c)", true],
  ['create index i on only s."T" ( "c" )', 'CREATE INDEX i ON ONLY s."T" USING btree (c)', true],
  ["create unique index i on t using BTREE (C, lower(d)) where (e > 0)", SERVER, true],
  ["create unique index i on t (c, lower(d)) where (e > 1)", SERVER, false],
  ["create index i on t (d)", "CREATE INDEX i ON public.t USING btree (c)", false],
  ["create index i on t using gin (c)", "CREATE INDEX i ON public.t USING btree (c)", false],
  ['create index i on t ("C")', "CREATE INDEX i ON public.t USING btree (c)", false],
  ["create index i", "create index i", false],
];

test.each(table)("isSameIndexBody() of %s and %s is %p", (ours, theirs, then) => {
  expect(isSameIndexBody(ours, theirs)).toBe(then);
});
