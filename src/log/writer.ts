/** Events as lines on stderr: NDJSON for machines, short lines for a terminal. */
import type { Fields, Log } from "../ports.ts";

/** How events become lines. */
export interface LogSettings {
  /** `auto`: text for a terminal. */
  readonly format: "auto" | "json" | "text";
  /** Asked with the first event that is written. */
  readonly isTerminal: () => boolean;
  /** Events below it are not written. */
  readonly level: string;
  /** What each event is; `core/events.ts`. */
  readonly events: Readonly<Record<string, { readonly level: string; readonly message: string }>>;
  /** Takes secrets out of every line. */
  readonly redact: (text: string) => string;
  readonly now: () => Date;
  readonly write: (line: string) => void;
}

const LEVELS: readonly string[] = ["debug", "info", "warn", "error"];

/** A field named `message` is the event's own text and does not replace the marker. */
export function createLog(settings: LogSettings): Log {
  const threshold = LEVELS.indexOf(settings.level);
  let format: "json" | "text" | undefined;
  return (event, fields = {}) => {
    const { level, message } = settings.events[event] ?? { level: "info", message: event };
    if (LEVELS.indexOf(level) < threshold) return;
    format ??= formatOf(settings);
    const known = Object.entries(fields).filter(
      ([, value]) => value !== undefined && value !== null,
    );
    const line =
      format === "json"
        ? JSON.stringify({
            ts: settings.now().toISOString(),
            level,
            event,
            msg: message,
            ...renamed(known),
          })
        : `${level === "info" ? "" : `${level}: `}${message}${inLines(known).map(toText).join("")}`;
    settings.write(`${settings.redact(printable(line))}\n`);
  };
}

function formatOf({ format, isTerminal }: LogSettings): "json" | "text" {
  if (format !== "auto") return format;
  return isTerminal() ? "text" : "json";
}

function renamed(entries: readonly (readonly [string, Fields[string]])[]): Fields {
  return Object.fromEntries(
    entries.map(([key, value]) => [key === "message" ? "reason" : key, value]),
  );
}

/** What stays on the marker's line comes first. */
function inLines(
  entries: readonly (readonly [string, Fields[string]])[],
): readonly (readonly [string, Fields[string]])[] {
  const isLong = ([, value]: readonly [string, Fields[string]]): boolean =>
    String(value).includes("\n");
  return [...entries.filter((entry) => !isLong(entry)), ...entries.filter(isLong)];
}

/** A text of several lines stands below its marker. */
function toText([key, value]: readonly [string, Fields[string]]): string {
  const text = String(value);
  if (!text.includes("\n")) return ` ${key}=${/\s/.test(text) ? JSON.stringify(text) : text}`;
  return `\n  ${text.replaceAll("\n", "\n  ")}`;
}

/** A server's or a file's control characters must not drive the terminal. */
function printable(line: string): string {
  return line.replace(/[^\P{Cc}\n\t]/gu, "\uFFFD");
}
