/** Seeding roles, and what became of them. */
import { loadRbacSpec } from "../../src/embed/rbac.ts";
import { headgate, type Run, withUrl } from "./headgate.ts";
import { query } from "./query.ts";

export function seed(url: string, ...flags: readonly string[]): Promise<Run> {
  return headgate(["seed", ...flags], withUrl(url));
}

export function written(run: Run): readonly string[] {
  return run.events.filter(({ event }) => event === "seed.written").map(({ kind }) => `${kind}`);
}

/** Every role as it is, with the transaction that wrote it. */
export function rolesOf(url: string): ReturnType<typeof query> {
  return query(url, "select xmin::text, to_jsonb(r) as role from roles r order by name, id");
}

export async function permissionsOf(name: string): Promise<readonly string[]> {
  const { roles } = await loadRbacSpec();
  return roles.find((role) => role.name === name)?.permissions ?? [];
}

/** The one role that the tests change. */
export const VIEWER: string = "select * from roles where name = 'viewer'";
