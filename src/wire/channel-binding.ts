/**
 * What SCRAM binds a TLS connection to: `tls-server-end-point` (RFC 5929 section 4.1), the digest of
 * the server's certificate under the digest that signed it, SHA-256 in place of MD5 and SHA-1.
 */

const SEQUENCE = 0x30;
const OBJECT_ID = 0x06;
/** Object identifiers of signatures, in hex, and the digest that each is made with. */
const DIGESTS: Readonly<Record<string, "SHA-256" | "SHA-384" | "SHA-512">> = {
  "2a864886f70d010104": "SHA-256",
  "2a864886f70d010105": "SHA-256",
  "2a864886f70d01010b": "SHA-256",
  "2a864886f70d01010c": "SHA-384",
  "2a864886f70d01010d": "SHA-512",
  "2a8648ce3d0401": "SHA-256",
  "2a8648ce3d040302": "SHA-256",
  "2a8648ce3d040303": "SHA-384",
  "2a8648ce3d040304": "SHA-512",
};

/** Undefined when the signature's digest is not known (RSA-PSS, Ed25519): then nothing is bound. */
export async function channelBinding(
  certificate: Uint8Array | undefined,
): Promise<Uint8Array | undefined> {
  const digest = certificate && DIGESTS[signatureOf(certificate)];
  if (!digest) return undefined;
  return new Uint8Array(await crypto.subtle.digest(digest, certificate.slice()));
}

/** Certificate ::= SEQUENCE { SEQUENCE toBeSigned, SEQUENCE { OBJECT IDENTIFIER … }, … } */
function signatureOf(certificate: Uint8Array): string {
  const whole = element(certificate, 0);
  const toBeSigned = whole && element(certificate, whole.start);
  const algorithm = toBeSigned && element(certificate, toBeSigned.end);
  const id = algorithm && element(certificate, algorithm.start);
  if (algorithm?.tag !== SEQUENCE || id?.tag !== OBJECT_ID) return "";
  return Array.from(certificate.subarray(id.start, id.end), hex).join("");
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

/** One DER element: a tag, a length (short, or 0x80 + its number of bytes), a content. */
function element(data: Uint8Array, at: number): Element | undefined {
  const [tag, first] = [data[at], data[at + 1]];
  if (tag === undefined || first === undefined) return undefined;
  const size = first < 0x80 ? 0 : first & 0x7f;
  const start = at + 2 + size;
  const bytes = data.subarray(at + 2, start);
  const length = size === 0 ? first : bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return start + length <= data.length ? { tag, start, end: start + length } : undefined;
}
