/** The real vault: Argon2id and a file. */
import type { Vault } from "../ports.ts";
import type { Argon2Cost } from "./argon2.ts";
import { generatePassword, withdrawPasswordFile, writePasswordFile } from "./password-file.ts";

/** Hashes at this cost; Argon2 itself is loaded when it is first needed. */
export function createVault(cost: Argon2Cost): Vault {
  return {
    hash: async (password) => {
      const { hashPassword } = await import("./argon2.ts");
      return hashPassword(password, cost);
    },
    generate: generatePassword,
    write: writePasswordFile,
    withdraw: withdrawPasswordFile,
  };
}
