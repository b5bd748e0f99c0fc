/** The permissions that the gateway knows. It refuses a role with any other, at every boot. */

/** Actions by resource, whose key ends in its own separator. */
const ACTIONS: Readonly<Record<string, string>> = {
  "a2a.": "create delete invoke read update",
  "admin.":
    "compliance dashboard events export grpc import metrics overview plugins security_audit system_config user_management",
  "admin.oauth_clients:": "delete read",
  "admin.sso_providers:": "create delete read update",
  "audit:": "read",
  "gateways.": "create delete read update",
  "llm.": "invoke read",
  "logs:": "read",
  "metrics:": "read",
  "plugins.": "read",
  "prompts.": "create delete execute read update",
  "resources.": "create delete read share update",
  "security:": "read",
  "servers.": "create delete manage read update use",
  "tags.": "create delete read update",
  "teams.": "create delete join manage_members read update",
  "tokens.": "create read revoke update",
  "tools.": "create delete execute manage_plugins preview read update",
  "users.": "create delete invite read update",
};

/** Every permission by its full name, and `*` for all of them. */
export const PERMISSIONS: ReadonlySet<string> = new Set([
  "*",
  ...Object.entries(ACTIONS).flatMap(([resource, actions]) =>
    actions.split(" ").map((action) => `${resource}${action}`),
  ),
]);
