import { describe, expect, test } from "bun:test";
import {
  type FoundOrphan,
  isDerived,
  ORPHAN_TABLES,
  type OrphanChange,
  type OrphanRename,
  type OrphanTable,
  orphanKey,
  type TakenValue,
} from "../../src/core/orphan.ts";
import { type OrphanWish, planOrphans, stemsOf } from "../../src/core/orphan-plan.ts";
import { slugify } from "../../src/core/slug.ts";
import { randomNumbers } from "./sql-fragments.ts";

const ADMIN = "admin@example.com";
const PERSONAL = "personal";
const WISH: OrphanWish = { orphans: "ownerless", separator: "-", personalTeamId: PERSONAL };

function orphan(changes: Partial<FoundOrphan> = {}): FoundOrphan {
  return {
    table: "servers",
    id: "1",
    value: "x",
    customName: null,
    gatewayName: null,
    teamId: null,
    ownerEmail: null,
    visibility: "private",
    ...changes,
  };
}

/** Taken in the personal team, for servers. */
function taken(values: readonly string[], changes: Partial<TakenValue> = {}): TakenValue[] {
  return values.map((value) => ({ table: "servers", teamId: PERSONAL, value, ...changes }));
}

function finalValue({ rename, value }: OrphanChange): string | null {
  return rename?.value ?? value;
}

describe("planOrphans() names", () => {
  type Values = readonly (string | null)[];
  // biome-ignore format: a table
  const table: readonly [when: string, taken: readonly string[], orphans: Values, then: Values][] = [
    ["a free value", ["y"], ["x"], ["x"]],
    ["a taken value", ["x"], ["x"], ["x-2"]],
    ["a value taken twice", ["x", "x-2"], ["x"], ["x-3"]],
    ["a value whose numbers have gaps", ["x", "x-7"], ["x"], ["x-8"]],
    ["a value with a number that is 1", ["x", "x-1"], ["x"], ["x-2"]],
    ["a value with a number that begins with 0", ["x", "x-07"], ["x"], ["x-8"]],
    ["a taken value that ends in a number", ["x-2"], ["x-2"], ["x-2-2"]],
    ["a taken value that ends in a number, twice", ["x-2", "x-2-2"], ["x-2"], ["x-2-3"]],
    ["a free value beside a taken longer one", ["x-2"], ["x"], ["x"]],
    ["equal orphans", [], ["x", "x", "x"], ["x", "x-2", "x-3"]],
    ["an orphan that has the name of an earlier one", ["x"], ["x", "x-2"], ["x-2", "x-2-2"]],
    ["an orphan that has the name of a later one", ["x"], ["x-2", "x"], ["x-2", "x-3"]],
    ["suffixes that are no number", ["x", "x-a", "x-", "x--4", "x-5b", "x-+6"], ["x"], ["x-2"]],
    ["a number longer than can be counted", ["x", "x-9999999999999999"], ["x"], ["x-2"]],
    ["the longest number that counts", ["x", "x-999999999999999"], ["x"], ["x-1000000000000000"]],
    ["characters that are wildcards elsewhere", ["a_b", "axb-7", "%", "z-9"], ["a_b", "%"], ["a_b-2", "%-2"]],
    ["characters that are special in patterns", ["a.(b", "a.(b-2"], ["a.(b"], ["a.(b-3"]],
    ["another case of letters", ["X"], ["x"], ["x"]],
    ["no value", ["x"], [null, null], [null, null]],
    ["an empty value", [""], [""], ["-2"]],
  ];
  test.each(table)("%s", (_when, values, orphans, then) => {
    const rows = orphans.map((value, at) => orphan({ id: String(at), value }));
    const plan = planOrphans({ rows, taken: taken(values) }, WISH);
    expect(plan.map(finalValue)).toEqual([...then]);
    expect(plan.map(({ value }) => value)).toEqual([...orphans]);
    for (const { rename } of plan) expect(rename?.customName).toBeUndefined();
  });
});

describe("planOrphans() looks at the values of one table and one team", () => {
  type Taken = Parameters<typeof taken>[1];
  // biome-ignore format: a table
  const table: readonly [when: string, taken: Taken, row: Partial<FoundOrphan>, then: string][] = [
    ["the personal team's, for a row without a team", {}, {}, "x-2"],
    ["the row's team's, for a row with one", { teamId: "red" }, { teamId: "red" }, "x-2"],
    ["the personal team's, for a row that is already there", {}, { teamId: PERSONAL }, "x-2"],
    ["no other team's, for a row without a team", { teamId: "red" }, {}, "x"],
    ["no other team's, for a row with one", {}, { teamId: "red" }, "x"],
    ["no other table's", { table: "tools" }, {}, "x"],
  ];
  test.each(table)("%s", (_when, changes, row, then) => {
    const found = { rows: [orphan(row)], taken: taken(["x"], changes) };
    expect(planOrphans(found, WISH).map(finalValue)).toEqual([then]);
  });

  test("in a personal team that is yet to be created, only orphans before it", () => {
    const rows = [orphan(), orphan({ id: "2" }), orphan({ id: "3", teamId: "red" })];
    const found = { rows, taken: taken(["x"], { teamId: "blue" }) };
    const plan = planOrphans(found, { ...WISH, personalTeamId: undefined });
    expect(plan.map(finalValue)).toEqual(["x", "x-2", "x"]);
  });
});

describe("planOrphans() gives away", () => {
  const bob = "bob@example.com";
  type Then = Pick<OrphanChange, "teamId" | "visibility" | "ownerEmail"> | undefined;
  const published = { ownerEmail: null, teamId: undefined, visibility: "public" };
  const inRed = { ownerEmail: null, teamId: "red", visibility: "private" };
  const bobs = { ownerEmail: bob, teamId: undefined, visibility: "public" };
  const admins = { ...bobs, ownerEmail: ADMIN };
  // biome-ignore format: a table
  const table: readonly [when: string, row: Partial<FoundOrphan>, ownerless: Then, all: Then][] = [
    ["a row without owner and team", {}, published, published],
    ["a row without owner, team and visibility", { visibility: null }, published, published],
    ["a team's row without owner, and leaves it there", { teamId: "red" }, inRed, inRed],
    ["a team's row without owner and visibility", { teamId: "red", visibility: null }, { ...inRed, visibility: "public" }, { ...inRed, visibility: "public" }],
    ["an owned row without team only when all are asked for", { ownerEmail: bob }, undefined, bobs],
    ["the admin's own row without team only then", { ownerEmail: ADMIN }, undefined, admins],
    ["no owned row in a team", { ownerEmail: bob, teamId: "red" }, undefined, undefined],
  ];
  test.each(table)("%s", (_when, row, ownerless, all) => {
    const found = { rows: [orphan(row)], taken: [] };
    const planned = (orphans: OrphanWish["orphans"]): Then => {
      const [change] = planOrphans(found, { ...WISH, orphans });
      const { teamId, visibility, ownerEmail } = change ?? {};
      return change && visibility
        ? { teamId, visibility, ownerEmail: ownerEmail ?? null }
        : undefined;
    };
    expect([planned("leave"), planned("ownerless"), planned("all")]).toEqual([
      undefined,
      ownerless,
      all,
    ]);
  });

  test("rows in the order in which they were found", () => {
    const rows = ORPHAN_TABLES.flatMap((table) =>
      ["b", "a"].map((id) => orphan({ table, id, customName: "x" })),
    );
    expect(planOrphans({ rows, taken: [] }, WISH).map(orphanKey)).toEqual(rows.map(orphanKey));
  });
});

describe("planOrphans() renames tools and prompts by their custom names", () => {
  const federated = { value: "my-gateway-x", customName: "x", gatewayName: "My Gateway" };
  interface Case {
    readonly row: Partial<FoundOrphan>;
    readonly separator?: string;
    readonly taken: readonly string[];
    readonly becomes: readonly [value: string, customName: string, customNameSlug: string];
  }
  // biome-ignore format: a table
  const table: readonly [when: string, Case][] = [
    ["a local one", { row: { customName: "X" }, taken: ["x"], becomes: ["x-2", "X-2", "x-2"] }],
    ["a local one of several words", { row: { value: "my-tool", customName: "My Tool" }, taken: ["my-tool", "my-tool-4"], becomes: ["my-tool-5", "My Tool-5", "my-tool-5"] }],
    ["a local one with another separator", { row: { customName: "X" }, separator: "_", taken: ["x", "x_2", "x-8"], becomes: ["x_3", "X-3", "x_3"] }],
    ["a local one with a longer separator", { row: { customName: "X" }, separator: "--", taken: ["x", "x--2"], becomes: ["x--3", "X-3", "x--3"] }],
    ["a federated one", { row: federated, taken: ["my-gateway-x"], becomes: ["my-gateway-x-2", "x-2", "x-2"] }],
    ["a federated one with another separator", { row: { ...federated, value: "my_gateway_x" }, separator: "_", taken: ["my_gateway_x", "my_gateway_x_2"], becomes: ["my_gateway_x_3", "x-3", "x_3"] }],
    ["one whose gateway's slug is empty", { row: { customName: "x", gatewayName: "!" }, taken: ["x"], becomes: ["x-2", "x-2", "x-2"] }],
    ["one whose name is not what would be derived", { row: { value: "old", customName: "New" }, taken: ["old", "old-5", "new-2"], becomes: ["new-3", "New-3", "new-3"] }],
    ["one whose custom name has an apostrophe", { row: { value: "bobs", customName: "Bob's" }, taken: ["bobs"], becomes: ["bobs-2", "Bob's-2", "bobs-2"] }],
    ["one whose custom name has no slug", { row: { value: "", customName: "!!!" }, taken: ["", "2"], becomes: ["3", "!!!-3", "3"] }],
    ["one without a custom name", { row: { customName: null }, taken: ["x"], becomes: ["x-2", "x-2", "x-2"] }],
  ];
  const cases = table.flatMap(([when, each]) =>
    (["tools", "prompts"] as const).map((name) => [name, when, each] as const),
  );
  test.each(cases)("%s: %s", (name, _when, { row, separator = "-", taken: values, becomes }) => {
    const rows = [orphan({ table: name, ...row })];
    const found = { rows, taken: taken(values, { table: name }) };
    const [value, customName, customNameSlug] = becomes;
    const [change] = planOrphans(found, { ...WISH, separator });
    expect(change?.rename).toEqual({ value, customName, customNameSlug });
  });

  test("two that differ before they are derived", () => {
    const names = ["My Tool", "my tool", "MY-TOOL"];
    const rows = names.map((customName, at) =>
      orphan({ table: "tools", id: String(at), value: "my-tool", customName }),
    );
    const renames = planOrphans({ rows, taken: [] }, WISH).map(({ rename }) => rename?.customName);
    expect(renames).toEqual([undefined, "my tool-2", "MY-TOOL-3"]);
  });
});

describe("planOrphans() keeps a renamed value as short as its column", () => {
  function renamed(row: Partial<FoundOrphan>, others: readonly string[] = []): OrphanRename {
    const found = orphan(row);
    const values = [found.value ?? "", ...others];
    const rows = [found];
    const [change] = planOrphans({ rows, taken: taken(values, { table: found.table }) }, WISH);
    if (!change?.rename) throw new Error("not renamed");
    return change.rename;
  }

  const LONG = "n".repeat(255);
  // biome-ignore format: a table
  const table: readonly [when: string, row: Partial<FoundOrphan>, others: readonly string[], then: string][] = [
    ["one that just fits", { value: "n".repeat(253) }, [], `${"n".repeat(253)}-2`],
    ["a name", { value: LONG }, [], `${"n".repeat(253)}-2`],
    ["a name whose cut form is taken", { value: LONG }, [`${"n".repeat(253)}-2`], `${"n".repeat(253)}-3`],
    ["an address", { table: "resources", value: "u".repeat(767) }, [], `${"u".repeat(765)}-2`],
    ["a shorter address", { table: "resources", value: LONG }, [], `${LONG}-2`],
    ["characters of two code units", { value: "😀".repeat(255) }, [], `${"😀".repeat(253)}-2`],
    ["a tool", { table: "tools", value: LONG, customName: LONG.toUpperCase() }, [], `${"n".repeat(253)}-2`],
    ["a federated tool", { table: "tools", value: `gw-${"n".repeat(252)}`, customName: "n".repeat(252), gatewayName: "gw" }, [], `gw-${"n".repeat(250)}-2`],
  ];
  test.each(table)("%s", (_when, row, others, then) => {
    const { value, customName } = renamed(row, others);
    expect(value).toBe(then);
    expect([...(customName ?? "")].length).toBeLessThanOrEqual(255);
  });

  test("unless the gateway's slug leaves no room", () => {
    const row = { table: "tools", customName: "x", gatewayName: LONG } as const;
    expect(renamed({ ...row, value: `${LONG}-x` }).customName).toBe("-2");
  });
});

describe("planOrphans() on random tables", () => {
  const TEAMS = [null, PERSONAL, "red"] as const;
  const OWNERS = [null, null, "bob@example.com", ADMIN] as const;
  const LONG = "n".repeat(253);
  const NAMES = ["x", "X", "x-2", "x 2", "x-2-2", "x_2", "y's", "!", "", "ä", LONG, `${LONG}n-2`];
  const GATEWAYS = [null, "My GW", "x", "!"] as const;
  const SEPARATORS = ["-", "_", "--", "."] as const;

  function randomCase(seed: number): {
    rows: FoundOrphan[];
    taken: TakenValue[];
    wish: OrphanWish;
  } {
    const next = randomNumbers(seed);
    const pick = <T>(items: readonly T[]): T => items[Math.floor(next() * items.length)] as T;
    const wish: OrphanWish = {
      ...WISH,
      orphans: pick(["ownerless", "all"]),
      separator: pick(SEPARATORS),
    };
    const row = (id: string): FoundOrphan => {
      const table = pick(ORPHAN_TABLES.slice(0, 3));
      const [customName, gatewayName] = [pick(NAMES), pick(GATEWAYS)];
      const isDrifted = !isDerived(table) || next() < 0.2;
      return orphan({
        table,
        id,
        customName: isDerived(table) ? customName : null,
        gatewayName: isDerived(table) ? gatewayName : null,
        value: isDrifted ? pick(NAMES) : derived(customName, gatewayName, wish.separator),
        teamId: pick(TEAMS),
        ownerEmail: pick(OWNERS),
      });
    };
    const rows = Array.from({ length: Math.floor(next() * 30) }, (_, at) => row(String(at)));
    const values = Array.from({ length: Math.floor(next() * 30) }, (_, at): TakenValue => {
      const { table, value, teamId } = row(String(at));
      return { table, teamId: teamId ?? PERSONAL, value: `${value}${pick(["", "", "-2", "_3"])}` };
    });
    return { rows, taken: values, wish };
  }

  function derived(name: string, gateway: string | null, separator: string): string {
    const slug = slugify(gateway ?? "", separator);
    return (slug === "" ? "" : slug + separator) + slugify(name, separator);
  }

  /** The rows as they stand afterwards. */
  function applied(rows: readonly FoundOrphan[], plan: readonly OrphanChange[]): FoundOrphan[] {
    return rows.map((row) => {
      const change = plan.find((each) => orphanKey(each) === orphanKey(row));
      if (!change) return row;
      const { teamId = PERSONAL, visibility, rename } = change;
      const customName = rename?.customName ?? row.customName;
      return {
        ...row,
        customName,
        teamId,
        visibility,
        value: finalValue(change),
        ownerEmail: ADMIN,
      };
    });
  }

  const CASES = Array.from({ length: 400 }, (_, seed) => randomCase(seed));
  const placeOf = (table: OrphanTable, team: string, value: string | null): string =>
    `${table}/${team}/${value}`;

  test("makes every value unique for a table and a team", () => {
    for (const { rows, taken: values, wish } of CASES) {
      const plan = planOrphans({ rows, taken: values }, wish);
      const places = plan.map((each) =>
        placeOf(each.table, each.teamId ?? PERSONAL, finalValue(each)),
      );
      const before = values.map(({ table, teamId, value }) => placeOf(table, teamId, value));
      expect(new Set(places).size).toBe(places.length);
      expect(places.filter((place) => before.includes(place))).toEqual([]);
    }
  });

  test("leaves nothing for the next plan", () => {
    for (const { rows, taken: values, wish } of CASES) {
      const after = applied(rows, planOrphans({ rows, taken: values }, wish));
      expect(planOrphans({ rows: after, taken: values }, wish)).toEqual([]);
    }
  });

  test("renames to what the application derives again", () => {
    const renamed = CASES.flatMap(({ rows, taken: values, wish: { separator, ...wish } }) => {
      const plan = planOrphans({ rows, taken: values }, { separator, ...wish });
      const after = new Map(applied(rows, plan).map((row) => [orphanKey(row), row]));
      return plan
        .filter(({ table, rename }) => rename && isDerived(table))
        .map((change) => ({ change, row: after.get(orphanKey(change)), separator }));
    });
    expect(renamed.length).toBeGreaterThan(100);
    for (const { change, row, separator } of renamed) {
      const customName = row?.customName ?? "";
      expect(change.rename?.value).toBe(derived(customName, row?.gatewayName ?? null, separator));
      expect(change.rename?.customNameSlug).toBe(slugify(customName, separator));
    }
  });

  test("needs no taken values but stems, and stems with a number", () => {
    for (const { rows, taken: values, wish } of CASES) {
      const stems = new Set(
        rows.flatMap((row) =>
          stemsOf(row, wish.separator).map((stem) => placeOf(row.table, "", stem)),
        ),
      );
      const known = values.filter(({ table, value }) =>
        [value, value.replace(/[0-9]+$/, "")].some((stem) => stems.has(placeOf(table, "", stem))),
      );
      expect(planOrphans({ rows, taken: known }, wish)).toEqual(
        planOrphans({ rows, taken: values }, wish),
      );
    }
  });
});

describe("stemsOf()", () => {
  const LONG = "n".repeat(255);
  const cuts = [253, 252, 251, 250, 249, 248].map((length) => `${LONG.slice(0, length)}-`);
  // biome-ignore format: a table
  const table: readonly [when: string, row: Partial<FoundOrphan>, stems: readonly string[]][] = [
    ["a name", { value: "x" }, ["x", "x-"]],
    ["a name that ends in a number", { value: "x-2" }, ["x-2", "x-2-"]],
    ["no value", { value: null }, []],
    ["a long name", { value: LONG }, [LONG, ...cuts]],
    ["a tool", { table: "tools", value: "my-tool", customName: "My Tool" }, ["my-tool", "my-tool-"]],
    ["a tool whose name is another one", { table: "tools", value: "old", customName: "New", gatewayName: "GW" }, ["old", "gw-new-"]],
    ["a tool without a slug", { table: "tools", value: "", customName: "!" }, [""]],
  ];
  test.each(table)("of %s", (_when, row, stems) => {
    expect(stemsOf(orphan(row), "-")).toEqual([...stems]);
  });
});
