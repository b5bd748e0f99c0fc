/** A stream's bytes as whole messages, in the order in which they come. */
import { DbError } from "../core/db-error.ts";
import type { Listener, Stream } from "../ports.ts";
import { type Message, MessageReader } from "./reader.ts";

/** Messages both ways. */
export interface Channel {
  write(bytes: Uint8Array): void;
  /** The next message. @throws {DbError} `lost` when none comes any more. */
  next(): Promise<Message>;
  /** Every `next` from now on fails with it. */
  fail(error: Error): void;
  /** Closes the stream when what was written is out. */
  end(): void;
  /** Nobody between us and the server can read along. */
  readonly isPrivate: boolean;
  /** The server's certificate (DER), under TLS. */
  readonly certificate: Uint8Array | undefined;
}

/** A connected stream whose bytes go to whoever listens at the moment. */
export interface OpenStream {
  readonly stream: Stream;
  /** The next bytes as they come. */
  firstBytes(): Promise<Uint8Array>;
  listen(listener: Listener): void;
}

/** From here on the stream's bytes are messages. */
export function asChannel(
  { stream, listen }: OpenStream,
  peer: { readonly isPrivate: boolean; readonly certificate?: Uint8Array | undefined },
): Channel {
  const reader = new MessageReader();
  const queue: Message[] = [];
  let waiting: PromiseWithResolvers<Message> | undefined;
  let failure: Error | undefined;
  const fail = (error: Error): void => {
    failure ??= error;
    stream.destroy();
    waiting?.reject(failure);
    waiting = undefined;
  };
  const data = (bytes: Uint8Array): void => {
    if (failure) return;
    try {
      queue.push(...reader.push(bytes));
    } catch (error) {
      fail(error as Error);
      return;
    }
    const first = waiting && queue.shift();
    if (first) {
      waiting?.resolve(first);
      waiting = undefined;
    }
  };
  listen({ data, closed: () => fail(new DbError("lost", "connection lost")) });
  return {
    isPrivate: peer.isPrivate,
    certificate: peer.certificate,
    write: (bytes) => stream.write(bytes),
    next: async () => {
      const first = queue.shift();
      if (first) return first;
      if (failure) throw failure;
      waiting = Promise.withResolvers<Message>();
      return waiting.promise;
    },
    fail,
    end: () => stream.end(),
  };
}
