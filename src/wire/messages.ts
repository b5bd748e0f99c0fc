/**
 * What a client says (protocol section "Message Formats"): a type byte, but for the first message,
 * then the length of the rest, itself included, then the body. Numbers are big-endian.
 */
import type { Value } from "../ports.ts";

const PROTOCOL_3_0 = 0x0003_0000;
const LENGTH_SIZE = 4;
const TEXT: TextEncoder = new TextEncoder();

/** Section "SSLRequest": length 8, code 80877103. */
export const SSL_REQUEST: Uint8Array = new Uint8Array([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
/** Section "Terminate". */
export const TERMINATE: Uint8Array = message("X", []);
const DESCRIBE_PORTAL: Uint8Array = message("D", ["P", zeroEnded("")]);
const EXECUTE: Uint8Array = message("E", [zeroEnded(""), int32(0)]);
const SYNC: Uint8Array = message("S", []);

/** Section "StartupMessage". */
export function startup(parameters: Readonly<Record<string, string>>): Uint8Array {
  const pairs = Object.entries(parameters).flat().map(zeroEnded);
  const body = concat([int32(PROTOCOL_3_0), ...pairs, new Uint8Array(1)]);
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
  return concat([parse, bind, DESCRIBE_PORTAL, EXECUTE, SYNC]);
}

/** Section "PasswordMessage". */
export function password(text: string): Uint8Array {
  return message("p", [zeroEnded(text)]);
}

/** Section "SASLInitialResponse". */
export function saslInitial(mechanism: string, response: string): Uint8Array {
  const bytes = TEXT.encode(response);
  return message("p", [zeroEnded(mechanism), int32(bytes.length), bytes]);
}

/** Section "SASLResponse". */
export function saslResponse(response: string): Uint8Array {
  return message("p", [response]);
}

/** One buffer of many. */
export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function message(type: string, parts: readonly (Uint8Array | string)[]): Uint8Array {
  const body = concat(parts.map((part) => (typeof part === "string" ? TEXT.encode(part) : part)));
  return concat([TEXT.encode(type), int32(LENGTH_SIZE + body.length), body]);
}

function value(each: Value): Uint8Array {
  if (each === null) return int32(-1);
  const bytes = TEXT.encode(String(each));
  return concat([int32(bytes.length), bytes]);
}

function zeroEnded(text: string): Uint8Array {
  return TEXT.encode(`${text}\0`);
}

function int16(number: number): Uint8Array {
  return new Uint8Array([number >> 8, number]);
}

function int32(number: number): Uint8Array {
  return new Uint8Array([number >> 24, number >> 16, number >> 8, number]);
}
