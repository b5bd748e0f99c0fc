/** Argon2id on either runtime: Bun has it in `node:crypto`, Deno in WebCrypto. */
import * as nodeCrypto from "node:crypto";
import { HeadgateError } from "../core/error.ts";

/** What a hash costs whoever computes it; whole numbers. */
export interface Argon2Cost {
  /** Iterations over the memory, PHC's `t`. */
  readonly passes: number;
  /** KiB, PHC's `m`; at least 8 for each lane. All of it is in use at once. */
  readonly memoryKib: number;
  /** Lanes, PHC's `p`. */
  readonly parallelism: number;
}

type Bytes = Uint8Array<ArrayBuffer>;
type Derive = (message: Bytes, salt: Bytes, cost: Argon2Cost) => Promise<Uint8Array>;

const SALT_BYTES = 16;
const TAG_BYTES = 32;
/** A string, because TypeScript's DOM types do not list this key format yet. */
const RAW_SECRET: string = "raw-secret";

/**
 * Argon2id v19 over the password's UTF-8, which is not normalized, with a new random salt. The work runs
 * on another thread.
 *
 * @returns A PHC string, 97 characters at the cost below.
 * @throws {HeadgateError} `seed-failed` when the runtime has no Argon2id or cannot pay the cost.
 * @example `$argon2id$v=19$m=65536,t=3,p=1$<22 base64 characters of salt>$<43 of tag>`
 */
export async function hashPassword(password: string, cost: Argon2Cost): Promise<string> {
  const { memoryKib, passes, parallelism } = cost;
  const parameters = `m=${memoryKib},t=${passes},p=${parallelism}`;
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  // A namespace import, because Deno fails to load a named import of what it does not have.
  const derive = "argon2" in nodeCrypto ? deriveByNode : deriveByWebCrypto;
  try {
    const tag = await derive(new TextEncoder().encode(password), salt, cost);
    return `$argon2id$v=19$${parameters}$${toBase64(salt)}$${toBase64(tag)}`;
  } catch (error) {
    throw new HeadgateError(
      `Cannot hash the password: this runtime gives no Argon2id for ${parameters} (${messageOf(error)})`,
      {
        code: "seed-failed",
        hint: `Run the headgate binary or a newer Deno, with ${memoryKib} KiB of memory to spare`,
        cause: error,
      },
    );
  }
}

const deriveByNode: Derive = (message, salt, { memoryKib, passes, parallelism }) =>
  new Promise((resolve, reject) => {
    nodeCrypto.argon2(
      "argon2id",
      { message, nonce: salt, memory: memoryKib, passes, parallelism, tagLength: TAG_BYTES },
      (error, tag) => (error ? reject(error) : resolve(tag)),
    );
  });

const deriveByWebCrypto: Derive = async (message, salt, { memoryKib, passes, parallelism }) => {
  const { subtle } = crypto;
  const format = RAW_SECRET as "raw";
  const key = await subtle.importKey(format, message, "Argon2id", false, ["deriveBits"]);
  const parameters = { name: "Argon2id", nonce: salt, memory: memoryKib, passes, parallelism };
  return new Uint8Array(await subtle.deriveBits(parameters, key, TAG_BYTES * 8));
};

function toBase64(bytes: Uint8Array): string {
  return bytes.toBase64({ omitPadding: true });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
