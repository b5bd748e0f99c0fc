/**
 * stdout and stderr as file descriptors. The streams of `process` cost more to set up than a whole
 * probe, and lines written through them may be lost at exit.
 */
import { fs } from "./lazy-fs.ts";

const STDOUT = 1;
const STDERR = 2;
/** A reader that is slower than this loses the rest; a probe must not hang on its log. */
const PATIENCE_TRIES = 200;
const PAUSE_MS = 5;
/** A pipe takes so much at once, whoever reads it. */
const ATOMIC_BYTES = 4096;

/** The report; resolves when it is written. */
export async function writeStdout(text: string): Promise<void> {
  const isShort = text.length <= ATOMIC_BYTES / 4;
  if (typeof Bun === "undefined" || !isShort) return writeAll(STDOUT, text);
  if (text !== "") await Bun.write(Bun.stdout, text).catch(() => undefined);
}

/** An event; returns when it is written. */
export function writeStderr(text: string): void {
  writeAll(STDERR, text);
}

/** By the kind of file: `node:tty` would cost as much again as the rest of the start. */
export function isStderrTerminal(): boolean {
  try {
    return fs().fstatSync(STDERR).isCharacterDevice();
  } catch {
    return false;
  }
}

/** A pipe may be full for a moment (EAGAIN), or nobody reads it any more (EPIPE): neither is ours. */
function writeAll(descriptor: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  let written = 0;
  for (let tries = 0; written < bytes.length && tries < PATIENCE_TRIES; tries += 1) {
    try {
      written += fs().writeSync(descriptor, bytes, written);
    } catch (error) {
      if ((error as { readonly code?: unknown }).code !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
    }
  }
}
