/** The roles that a file adds to those of the binary. */
import type { RoleSpec } from "./rbac.ts";

/** What two roles have in common that are the same role. */
export function roleKey(role: Readonly<Record<"name" | "scope", string>>): string {
  return `${role.scope}:${role.name}`;
}

/**
 * The defaults in their order, then the file's other roles in theirs. A file's role with the name and
 * scope of a default replaces its permissions and nothing else, so that it stays a system role.
 *
 * @param file No (name, scope) twice.
 */
export function mergeRoles(
  defaults: readonly RoleSpec[],
  file: readonly RoleSpec[],
): readonly RoleSpec[] {
  const added = new Map(file.map((role) => [roleKey(role), role]));
  const known = new Set(defaults.map(roleKey));
  return [
    ...defaults.map((role) => ({
      ...role,
      permissions: (added.get(roleKey(role)) ?? role).permissions,
    })),
    ...file.filter((role) => !known.has(roleKey(role))),
  ];
}
