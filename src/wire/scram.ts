/** SCRAM-SHA-256 (RFC 5802, RFC 7677), with channel binding where TLS gives a certificate to bind to. */
import { isAscii } from "../core/ascii.ts";
import { DbError } from "../core/db-error.ts";
import type { WirePort } from "../ports.ts";
import { concat } from "./messages.ts";
import { encode } from "./text.ts";

const PLAIN = "SCRAM-SHA-256";
const PLUS = "SCRAM-SHA-256-PLUS";
const NONCE_BYTES = 18;
const KEY_BITS = 256;

/** What is bound to, and what the server offers. */
export interface ScramOffer {
  readonly mechanisms: readonly string[];
  /** See `channelBinding`; undefined: there is no TLS, or its certificate has no digest to bind to. */
  readonly binding: Uint8Array | undefined;
}

/** Digests of the runtime. */
export type ScramDigests = Pick<WirePort, "sha256" | "hmacSha256">;

/** A login in three messages: ours, ours after `challenge`, and the server's, which is checked. */
export interface Scram {
  readonly mechanism: string;
  readonly first: string;
  /** Our answer to the server's first message. @throws {DbError} */
  answer(challenge: string): Promise<string>;
  /** Whether the server knows the password too. @throws {DbError} when it does not. */
  verify(final: string): void;
}

/**
 * Chooses the mechanism, and begins.
 *
 * @throws {DbError} `authentication` when none of them is known.
 */
export function openScram(
  { sha256, hmacSha256: hmac }: ScramDigests,
  password: string,
  offer: ScramOffer,
  nonce: string = newNonce(),
): Scram {
  const mechanism = choose(offer);
  const header = gs2Header(mechanism, offer);
  const bare = `n=,r=${nonce}`;
  let signature: string | undefined;
  return {
    mechanism,
    first: header + bare,
    answer: async (challenge) => {
      const { salt, iterations, fullNonce } = readChallenge(challenge, nonce);
      const bindingData =
        mechanism === PLUS ? (offer.binding ?? new Uint8Array()) : new Uint8Array();
      const channel = base64(concat([encode(header), bindingData]));
      const unproven = `c=${channel},r=${fullNonce}`;
      const spoken = encode(`${bare},${challenge},${unproven}`);
      const salted = await stretch(password, salt, iterations);
      const clientKey = hmac(salted, encode("Client Key"));
      const clientSignature = hmac(sha256(clientKey), spoken);
      const serverKey = hmac(salted, encode("Server Key"));
      signature = base64(hmac(serverKey, spoken));
      return `${unproven},p=${base64(xor(clientKey, clientSignature))}`;
    },
    verify: (final) => {
      if (signature !== undefined && attribute(final, "v") === signature) return;
      throw new DbError("connect", "the server did not return the correct signature");
    },
  };
}

function choose({ mechanisms, binding }: ScramOffer): string {
  if (binding && mechanisms.includes(PLUS)) return PLUS;
  if (mechanisms.includes(PLAIN)) return PLAIN;
  throw new DbError(
    "authentication",
    `the server asks for an authentication method that headgate does not have (${mechanisms.join(", ")})`,
  );
}

/** "y" says that we could bind and the server did not offer it: who stripped the offer is found out. */
function gs2Header(mechanism: string, { binding }: ScramOffer): string {
  if (mechanism === PLUS) return "p=tls-server-end-point,,";
  return binding ? "y,," : "n,,";
}

interface Challenge {
  readonly fullNonce: string;
  readonly salt: Uint8Array<ArrayBuffer>;
  readonly iterations: number;
}

function readChallenge(challenge: string, nonce: string): Challenge {
  const fullNonce = attribute(challenge, "r") ?? "";
  const salt = fromBase64(attribute(challenge, "s") ?? "");
  const iterations = Number(attribute(challenge, "i"));
  const isOurs = fullNonce.startsWith(nonce) && fullNonce.length > nonce.length;
  if (isOurs && salt && Number.isSafeInteger(iterations) && iterations > 0) {
    return { fullNonce, salt, iterations };
  }
  throw new DbError("connect", "the server's part of the login is not SCRAM's");
}

function attribute(text: string, name: string): string | undefined {
  const found = text.split(",").find((each) => each.startsWith(`${name}=`));
  return found?.slice(2);
}

async function stretch(
  password: string,
  salt: Uint8Array<ArrayBuffer>,
  iterations: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const secret = encode(await prepared(password));
  const key = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveBits"]);
  const wish = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return new Uint8Array(await crypto.subtle.deriveBits(wish, key, KEY_BITS));
}

/** An ASCII password is prepared as it stands. */
async function prepared(password: string): Promise<string> {
  return isAscii(password) ? password : (await import("./saslprep.ts")).saslprep(password);
}

function newNonce(): string {
  return base64(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
}

function xor(bytes: Uint8Array, others: Uint8Array): Uint8Array {
  const mixed = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i += 1) mixed[i] = (bytes[i] ?? 0) ^ (others[i] ?? 0);
  return mixed;
}

function base64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text);
  } catch {
    return undefined;
  }
}
