/** The roles that this binary carries. */
import type { RbacSpec } from "../core/rbac.ts";
import { RBAC_MARK } from "./rbac-mark.gen.ts";

export { RBAC_MARK };

/** Loads the roles; what proves that they are seeded is known without. */
export async function loadRbacSpec(): Promise<RbacSpec> {
  const { default: spec } = await import("./rbac-seed.json", { with: { type: "json" } });
  return spec as RbacSpec;
}
