/** What a server says, message by message, however its bytes arrive. */
import { DbError } from "../core/db-error.ts";
import { readServerWords, type ServerWords } from "../core/server-words.ts";
import { concat } from "./messages.ts";
import { decode } from "./text.ts";

/** A type letter and what follows the length (protocol section "Message Formats"). */
export interface Message {
  readonly type: string;
  readonly body: Uint8Array;
}

const HEADER_SIZE = 5;
/** More than a login or a ledger needs: whoever announces so much is no PostgreSQL server. */
const BODY_MAX = 1 << 28;

/** Splits a stream of bytes. */
export class MessageReader {
  private held: Uint8Array | undefined;

  /** The whole messages so far. @throws {DbError} `connect` when it is not the protocol. */
  push(bytes: Uint8Array): readonly Message[] {
    const data = this.held ? concat([this.held, bytes]) : bytes;
    const messages: Message[] = [];
    let at = 0;
    for (;;) {
      const length = lengthAt(data, at);
      if (length === undefined || at + 1 + length > data.length) break;
      const body = data.subarray(at + HEADER_SIZE, at + 1 + length);
      messages.push({ type: String.fromCharCode(data[at] ?? 0), body });
      at += 1 + length;
    }
    this.held = at < data.length ? data.slice(at) : undefined;
    return messages;
  }
}

/** Undefined: its header is not there yet. */
function lengthAt(data: Uint8Array, at: number): number | undefined {
  if (at + HEADER_SIZE > data.length) return undefined;
  const length = uint32(data, at + 1);
  if (length >= HEADER_SIZE - 1 && length <= BODY_MAX) return length;
  throw new DbError("connect", "the answer is not PostgreSQL's");
}

/** At an offset, big-endian. */
export function uint32(data: Uint8Array, at: number): number {
  return int32(data, at) >>> 0;
}

function int32(data: Uint8Array, at: number): number {
  return (
    ((data[at] ?? 0) << 24) |
    ((data[at + 1] ?? 0) << 16) |
    ((data[at + 2] ?? 0) << 8) |
    (data[at + 3] ?? 0)
  );
}

/** Takes a body apart, field by field. A body that is too short is not the protocol. */
export class Fields {
  private readonly body: Uint8Array;
  private at = 0;

  constructor(body: Uint8Array) {
    this.body = body;
  }

  int16(): number {
    const start = this.take(2);
    return int32(this.body, start) >> 16;
  }

  int32(): number {
    return int32(this.body, this.take(4));
  }

  /** Up to a zero byte. */
  text(): string {
    const end = this.body.indexOf(0, this.at);
    if (end === -1) throw malformed();
    const start = this.take(end - this.at + 1);
    return decode(this.body.subarray(start, end));
  }

  bytes(length: number): Uint8Array {
    const start = this.take(length);
    return this.body.subarray(start, start + length);
  }

  rest(): Uint8Array {
    return this.bytes(this.body.length - this.at);
  }

  private take(size: number): number {
    const start = this.at;
    if (size < 0 || start + size > this.body.length) throw malformed();
    this.at = start + size;
    return start;
  }
}

/** Sections "ErrorResponse" and "NoticeResponse". */
export function serverErrorOf(body: Uint8Array): ServerWords {
  return readServerWords(decode(body));
}

function malformed(): DbError {
  return new DbError("lost", "a message of the server is cut short");
}
