/** UTF-8, the only encoding that is spoken here. */

const ENCODER: TextEncoder = new TextEncoder();
const DECODER: TextDecoder = new TextDecoder();

/** As bytes. */
export function encode(text: string): Uint8Array<ArrayBuffer> {
  return ENCODER.encode(text);
}

/** As text; what is no UTF-8 is replaced. */
export function decode(bytes: Uint8Array): string {
  return DECODER.decode(bytes);
}
