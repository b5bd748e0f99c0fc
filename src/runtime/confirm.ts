/** A question to the person at the terminal. */
import { writeStderr } from "./stdio.ts";

const STDIN = 0;

/**
 * Asks on stderr and reads one line of stdin; undefined when stdin is no terminal. What it needs is
 * loaded when somebody asks: a probe never does.
 */
export async function confirm(question: string): Promise<boolean | undefined> {
  const { isatty, ReadStream } = await import("node:tty");
  if (!isatty(STDIN)) return undefined;
  const { createInterface } = await import("node:readline");
  writeStderr(`${question} [yes/no] `);
  const lines = createInterface({ input: new ReadStream(STDIN), terminal: false });
  try {
    const answer = await new Promise<string>((resolve) => {
      lines.once("line", resolve);
      lines.once("close", () => resolve(""));
    });
    return answer.trim().toLowerCase() === "yes";
  } finally {
    lines.close();
  }
}
