/**
 * What a client says (protocol section "Message Formats"): a type byte, but for the first message,
 * then the length of the rest, itself included, then the body. Numbers are big-endian.
 *
 * Nothing is made before it is said: whatever runs while this loads, every probe pays for.
 */
import type { Value } from "../ports.ts";
import { encode } from "./text.ts";

const PROTOCOL_3_0 = 0x0003_0000;
const LENGTH_SIZE = 4;

/** Section "SSLRequest": length 8, code 80877103. */
export function sslRequest(): Uint8Array {
  return new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
}

/** Section "Terminate". */
export function terminate(): Uint8Array {
  return message("X", []);
}

/** Section "StartupMessage". */
export function startup(parameters: Readonly<Record<string, string>>): Uint8Array {
  const parts = [int32(PROTOCOL_3_0)];
  for (const name of Object.keys(parameters)) {
    parts.push(zeroEnded(name), zeroEnded(parameters[name] ?? ""));
  }
  const body = concat([...parts, new Uint8Array(1)]);
  return concat([int32(LENGTH_SIZE + body.length), body]);
}

/** Section "Query". */
export function query(text: string): Uint8Array {
  return message("Q", [zeroEnded(text)]);
}

/** Sections "Parse", "Bind", "Describe", "Execute", "Sync": one statement, its values as text. */
export function bound(text: string, values: readonly Value[]): Uint8Array {
  const parse = message("P", [zeroEnded(""), zeroEnded(text), int16(0)]);
  const bind = message("B", [
    zeroEnded(""),
    zeroEnded(""),
    int16(0),
    int16(values.length),
    ...values.map(value),
    int16(0),
  ]);
  const describe = message("D", [encode("P"), zeroEnded("")]);
  const execute = message("E", [zeroEnded(""), int32(0)]);
  return concat([parse, bind, describe, execute, message("S", [])]);
}

/** Section "PasswordMessage". */
export function password(text: string): Uint8Array {
  return message("p", [zeroEnded(text)]);
}

/** Section "SASLInitialResponse". */
export function saslInitial(mechanism: string, response: string): Uint8Array {
  const bytes = encode(response);
  return message("p", [zeroEnded(mechanism), int32(bytes.length), bytes]);
}

/** Section "SASLResponse". */
export function saslResponse(response: string): Uint8Array {
  return message("p", [encode(response)]);
}

/** One buffer of many. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function message(type: string, parts: readonly Uint8Array[]): Uint8Array {
  const body = concat(parts);
  return concat([encode(type), int32(LENGTH_SIZE + body.length), body]);
}

function value(each: Value): Uint8Array {
  if (each === null) return int32(-1);
  const bytes = encode(String(each));
  return concat([int32(bytes.length), bytes]);
}

function zeroEnded(text: string): Uint8Array {
  return encode(`${text}\0`);
}

function int16(number: number): Uint8Array {
  return new Uint8Array([number >> 8, number]);
}

function int32(number: number): Uint8Array {
  return new Uint8Array([number >> 24, number >> 16, number >> 8, number]);
}
