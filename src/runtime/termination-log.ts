/**
 * The file in which Kubernetes looks for the reason when a container has ended. A pod's status shows
 * it, so that nobody has to find the log of an init container that is gone.
 */
import { closeSync, constants, openSync, writeSync } from "node:fs";

const KUBERNETES_FILE = "/dev/termination-log";
/** Kubernetes keeps the last 4096 bytes. */
const MAX_BYTES = 4096;
const CUT = " […]";
/** No pipe that nobody reads shall hold up the end. */
const FLAGS: number = constants.O_WRONLY | constants.O_TRUNC | constants.O_NONBLOCK;
const MODE = 0o644;

/** What is said there, in this order. */
export interface LastWords {
  /** Shortened, should it all be too long. */
  readonly message: string;
  /** The next step and the exit status. */
  readonly end: string;
}

/**
 * Writes it. The file that Kubernetes mounts is used when it is there, and never made: elsewhere
 * /dev is nobody's place for files. Never throws.
 *
 * @param path As somebody named it; made when it is missing.
 * @returns Why a file that was named could not be written.
 */
export function writeTerminationLog(
  path: string | undefined,
  words: LastWords,
): string | undefined {
  const isNamed = path !== undefined && path !== KUBERNETES_FILE;
  try {
    const file = openSync(
      path ?? KUBERNETES_FILE,
      isNamed ? FLAGS | constants.O_CREAT : FLAGS,
      MODE,
    );
    try {
      writeSync(file, fit(words));
    } finally {
      closeSync(file);
    }
    return undefined;
  } catch (error) {
    return isNamed ? (error as Error).message : undefined;
  }
}

/** What is too long loses the end of its message, not the next step; no character is torn. */
function fit({ message, end }: LastWords): string {
  const tail = `\n${end}\n`;
  if (sizeOf(message + tail) <= MAX_BYTES) return message + tail;
  return firstBytes(firstBytes(message, MAX_BYTES - sizeOf(CUT + tail)) + CUT + tail, MAX_BYTES);
}

function sizeOf(text: string): number {
  return new TextEncoder().encode(text).length;
}

function firstBytes(text: string, count: number): string {
  const bytes = new TextEncoder().encode(text).subarray(0, Math.max(count, 0));
  return new TextDecoder().decode(bytes, { stream: true });
}
