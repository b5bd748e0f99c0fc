/** The file of additional roles: a JSON array in the gateway's own shape. */
import * as v from "valibot";
import { findJsonFault } from "../core/json-fault.ts";
import { roleKey } from "../core/merge-roles.ts";
import { PERMISSIONS } from "../core/permission.ts";
import type { RoleSpec } from "../core/rbac.ts";
import { locate, printable } from "../core/source-position.ts";
import { type Reader, reader } from "./reader.ts";
import { settingsError } from "./settings-error.ts";

/** Characters of a value that a problem shows. */
const SHOWN_MAX = 60;

/** A role's name, without blanks around it. */
export const toRoleName: Reader<string> = reader(
  (text) => (/^\P{Cc}{1,255}$/u.test(text) ? text : undefined),
  "must have 1 to 255 characters and no control character",
);

const nameSchema = v.pipe(
  v.string(toRoleName.must),
  v.transform((text) => toRoleName.read(text) ?? ""),
  v.minLength(1, toRoleName.must),
);

const scopeSchema = v.picklist(
  ["global", "team", "personal"],
  ({ input }) => `${shown(input)} is no scope: global, team or personal`,
);

const permissionSchema = v.custom<string>(
  (value) => typeof value === "string" && PERMISSIONS.has(value),
  ({ input }) => `${shown(input)} is no permission`,
);

const roleSchema = v.pipe(
  v.object(
    {
      name: nameSchema,
      scope: scopeSchema,
      permissions: v.array(permissionSchema, "must be an array of permissions"),
      description: v.optional(
        v.pipe(
          v.string("must be a text"),
          v.check((text) => !text.includes("\0"), "must have no NUL character"),
        ),
        "",
      ),
      is_system_role: v.optional(v.boolean("must be true or false"), false),
    },
    // A missing key is an issue of the object, with the key in its path.
    ({ expected }) => (expected === "Object" ? "must be an object" : "must be set"),
  ),
  v.transform(
    (role): RoleSpec => ({
      name: role.name,
      scope: role.scope,
      description: role.description,
      permissions: role.permissions,
      isSystemRole: role.is_system_role,
    }),
  ),
);

const identitySchema = v.object({ name: v.string(), scope: scopeSchema });

const fileSchema = v.pipe(
  v.array(roleSchema, "must be a JSON array of roles"),
  // Also sees roles that are wrong otherwise.
  v.rawCheck(({ dataset: { value }, addIssue }) => {
    if (!Array.isArray(value)) return;
    for (const { index, first } of repeatedRoles(value)) {
      const item = { type: "array", origin: "value", input: value, key: index } as const;
      addIssue({
        message: `the same name and scope as [${first}]`,
        path: [{ ...item, value: value[index] }],
      });
    }
  }),
);

/**
 * Reads the roles of a file, in its order. Keys that no role has are ignored.
 *
 * @param source The variable or flag that named the file.
 * @throws {HeadgateError} `config-invalid`, every problem in one message, by path
 */
export function parseRolesFile(text: string, source: string): readonly RoleSpec[] {
  const file = `the file that ${source} names`;
  const result = v.safeParse(fileSchema, parseJson(text, file));
  if (result.success) return result.output;
  const problems = result.issues.map(({ path, message }) => {
    const place = (path ?? []).map(renderKey).join("");
    return place === "" ? message : `${place}: ${message}`;
  });
  throw settingsError(`${file}: ${problems.join("; ")}`);
}

function parseJson(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    const { line, column } = locate(text, findJsonFault(text));
    // biome-ignore lint/style/useErrorCause: its message may quote the text
    throw settingsError(`${file} is not JSON at line ${line}, column ${column}`);
  }
}

function repeatedRoles(roles: readonly unknown[]): { index: number; first: number }[] {
  const keys = roles.map((role) => (v.is(identitySchema, role) ? roleKey(role) : undefined));
  return keys.flatMap((key, index) => {
    const first = keys.indexOf(key);
    return key === undefined || first === index ? [] : [{ index, first }];
  });
}

function renderKey({ key }: v.IssuePathItem): string {
  return typeof key === "number" ? `[${key}]` : `.${String(key)}`;
}

function shown(value: unknown): string {
  const characters = [...printable(JSON.stringify(value))];
  if (characters.length <= SHOWN_MAX) return characters.join("");
  return `${characters.slice(0, SHOWN_MAX - 1).join("")}…`;
}
