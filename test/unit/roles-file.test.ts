import { describe, expect, test } from "bun:test";
import { parseRolesFile } from "../../src/config/roles-file.ts";
import { HeadgateError } from "../../src/core/error.ts";

const PREFIX = "Cannot load settings: the file that --roles names";
const GOOD = { name: "auditor", scope: "global", permissions: ["audit:read"] };

function parse(value: unknown): ReturnType<typeof parseRolesFile> {
  return parseRolesFile(JSON.stringify(value), "--roles");
}

function refusal(text: string): string {
  try {
    parseRolesFile(text, "--roles");
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error;
    expect(error.code).toBe("config-invalid");
    return error.message;
  }
  throw new Error("the file was read");
}

describe("parseRolesFile()", () => {
  test("fills in description and is_system_role", () => {
    expect(parse([GOOD])).toEqual([
      {
        name: "auditor",
        scope: "global",
        permissions: ["audit:read"],
        description: "",
        isSystemRole: false,
      },
    ]);
  });

  test("takes every key that a role has, and no other", () => {
    const full = { description: "Looks", is_system_role: true, inherits_from: "viewer", x: null };
    expect(parse([{ ...GOOD, ...full }])).toEqual([
      {
        name: "auditor",
        scope: "global",
        permissions: ["audit:read"],
        description: "Looks",
        isSystemRole: true,
      },
    ]);
  });

  test("keeps the order of roles and permissions", () => {
    const roles = parse([
      { name: "b", scope: "team", permissions: ["tools.read", "*", "a2a.read", "tools.read"] },
      { name: "a", scope: "personal", permissions: [] },
    ]);
    expect(roles.map(({ name }) => name)).toEqual(["b", "a"]);
    expect(roles[0]?.permissions).toEqual(["tools.read", "*", "a2a.read", "tools.read"]);
  });

  test("takes an empty array", () => {
    expect(parse([])).toEqual([]);
  });

  test("takes the blanks around a name away", () => {
    expect(parse([{ ...GOOD, name: " auditor\n" }])[0]?.name).toBe("auditor");
  });

  test("takes one name in several scopes", () => {
    expect(parse([GOOD, { ...GOOD, scope: "team" }])).toHaveLength(2);
  });

  test("takes a name as long as its column, in characters", () => {
    expect(parse([{ ...GOOD, name: "🔑".repeat(255) }])).toHaveLength(1);
  });
});

describe("parseRolesFile() refuses", () => {
  const NAME = "must have 1 to 255 characters and no control character";
  const table: readonly [what: string, value: unknown, problem: string][] = [
    ["an object", { roles: [] }, "must be a JSON array of roles"],
    ["null", null, "must be a JSON array of roles"],
    ["a text as a role", [GOOD, "viewer"], "[1]: must be an object"],
    ["an array as a role", [[]], "[0].name: must be set"],
    ["no name", [{ ...GOOD, name: undefined }], "[0].name: must be set"],
    ["no scope", [{ ...GOOD, scope: undefined }], "[0].scope: must be set"],
    ["no permissions", [{ ...GOOD, permissions: undefined }], "[0].permissions: must be set"],
    ["an empty name", [{ ...GOOD, name: "" }], `[0].name: ${NAME}`],
    ["a blank name", [{ ...GOOD, name: " \t" }], `[0].name: ${NAME}`],
    ["a long name", [{ ...GOOD, name: "x".repeat(256) }], `[0].name: ${NAME}`],
    ["a name with a line end", [{ ...GOOD, name: "a\nb" }], `[0].name: ${NAME}`],
    ["a number as a name", [{ ...GOOD, name: 5 }], `[0].name: ${NAME}`],
    [
      "an unknown scope",
      [{ ...GOOD, scope: "galaxy" }],
      '[0].scope: "galaxy" is no scope: global, team or personal',
    ],
    [
      "an unknown permission",
      [GOOD, { ...GOOD, name: "b", permissions: ["tools.read", "galaxy.read"] }],
      '[1].permissions[1]: "galaxy.read" is no permission',
    ],
    [
      "a number as a permission",
      [{ ...GOOD, permissions: [5] }],
      "[0].permissions[0]: 5 is no permission",
    ],
    [
      "permissions as a text",
      [{ ...GOOD, permissions: "tools.read" }],
      "[0].permissions: must be an array of permissions",
    ],
    [
      "a long value, shortened",
      [{ ...GOOD, permissions: ["x".repeat(500)] }],
      `[0].permissions[0]: "${"x".repeat(58)}… is no permission`,
    ],
    [
      "a value with control characters, made harmless",
      [{ ...GOOD, permissions: ["\u001b[31m\u009b"] }],
      '[0].permissions[0]: "\\u001b[31m\uFFFD" is no permission',
    ],
    [
      "a description of another type",
      [{ ...GOOD, description: 1 }],
      "[0].description: must be a text",
    ],
    [
      "a description that no column takes",
      [{ ...GOOD, description: "a\0b" }],
      "[0].description: must have no NUL character",
    ],
    [
      "is_system_role of another type",
      [{ ...GOOD, is_system_role: "yes" }],
      "[0].is_system_role: must be true or false",
    ],
    [
      "a second role of the same name and scope",
      [GOOD, { ...GOOD, permissions: [] }],
      "[1]: the same name and scope as [0]",
    ],
    [
      "a name that differs by blanks only",
      [GOOD, { ...GOOD, name: " auditor " }],
      "[1]: the same name and scope as [0]",
    ],
  ];
  test.each(table)("%s", (_what, value, problem) => {
    const message = refusal(JSON.stringify(value));
    expect(message).toStartWith(`${PREFIX}: `);
    expect(message.slice(PREFIX.length + 2).split("; ")).toContain(problem);
  });

  test("everything that is wrong in one message", () => {
    const bad = { name: "", scope: "galaxy", permissions: ["galaxy.read", "tools.read", "*.*"] };
    const roles = [GOOD, bad, { name: "x" }, "y", { ...GOOD, permissions: ["z"] }, GOOD];
    expect(
      refusal(JSON.stringify(roles))
        .slice(PREFIX.length + 2)
        .split("; "),
    ).toEqual([
      `[1].name: ${NAME}`,
      '[1].scope: "galaxy" is no scope: global, team or personal',
      '[1].permissions[0]: "galaxy.read" is no permission',
      '[1].permissions[2]: "*.*" is no permission',
      "[2].scope: must be set",
      "[2].permissions: must be set",
      "[3]: must be an object",
      '[4].permissions[0]: "z" is no permission',
      "[4]: the same name and scope as [0]",
      "[5]: the same name and scope as [0]",
    ]);
  });

  const broken: readonly [text: string, place: string][] = [
    ["", "line 1, column 1"],
    ["[\n  {},\n]", "line 3, column 1"],
    ['[\n  {"name": "a"\n   "scope": "team"}\n]', "line 3, column 4"],
    ["[s3cr3t]", "line 1, column 2"],
    ["- name: s3cr3t", "line 1, column 1"],
  ];
  test.each(broken)("%j, which is not JSON, without showing it", (text, place) => {
    expect(refusal(text)).toBe(`${PREFIX} is not JSON at ${place}`);
  });
});
