/** Makes the first password before any transaction is open, and keeps a generated one. */
import { HeadgateError } from "../core/error.ts";
import { weaknessOf } from "../core/weak-password.ts";
import { DISABLED } from "../db/rbac-write.ts";
import type { Vault } from "../ports.ts";
import type { World } from "./access.ts";
import type { FirstPassword, PasswordWish } from "./seeding.ts";

/** A hash for the account, and what is needed to keep its password. */
export interface Credential {
  readonly hash: string;
  readonly kind: FirstPassword;
  /** Puts a generated password where the operator finds it; before COMMIT. */
  keep(): void;
  /** Takes it away again: the account has another password, or there is no account. */
  withdraw(): void;
  /** After COMMIT: how the admin logs in. */
  announce(log: World["log"]): void;
}

const nothing = (): void => undefined;
const HOW_TO_ENABLE =
  "Set PLATFORM_ADMIN_PASSWORD or pass --generated-password-file FILE, then run headgate seed --enable-admin";

/**
 * Costs a quarter of a second, unless nobody gave a password and none is to be generated.
 *
 * @throws {HeadgateError} `seed-failed` for a weak password
 */
export async function makeCredential(
  vault: Vault,
  { given, file, allowsWeak }: PasswordWish,
  email: string,
): Promise<Credential> {
  const idle = { keep: nothing, withdraw: nothing, announce: nothing };
  if (given !== undefined) {
    const weakness = weaknessOf(given, email);
    if (weakness !== undefined && !allowsWeak) throw weakError(weakness);
    return { ...idle, hash: await vault.hash(given), kind: "given" };
  }
  if (file === undefined) {
    const announce = (log: World["log"]): void => {
      log("admin.disabled", { email, hint: HOW_TO_ENABLE });
    };
    return { ...idle, hash: DISABLED, kind: "disabled", announce };
  }
  const password = vault.generate();
  return {
    hash: await vault.hash(password),
    kind: "generated",
    keep: () => vault.write(file, password),
    withdraw: () => vault.withdraw(file, password),
    announce: (log) => log("admin.password-kept", { email, file }),
  };
}

function weakError(weakness: string): HeadgateError {
  return new HeadgateError(`Cannot create the admin: PLATFORM_ADMIN_PASSWORD ${weakness}`, {
    code: "seed-failed",
    hint: "Set another one, leave it out and pass --generated-password-file FILE, or insist with --allow-weak-password",
  });
}
