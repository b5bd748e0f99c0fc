/** The one place where an error becomes a line, an object and a status. */
import { redact } from "../config/redact.ts";
import { HeadgateError } from "../core/error.ts";
import type { World } from "../flow/access.ts";
import { exitStatusOf } from "./exit-status.ts";
import type { Outcome } from "./run.ts";
import { toJson } from "./to-json.ts";

/** What shapes an error's way out, as far as it is known when the error comes. */
export interface Shape {
  /** `probe` answers 0 or 1 and nothing else. */
  isProbe: boolean;
  isJson: boolean;
  log: World["log"];
  secrets: readonly string[];
}

/** What is left to say when the process ends: `runtime/termination-log.ts`. */
interface Failure extends Outcome {
  readonly lastWords: { readonly message: string; readonly end: string };
}

/** Logs the error; a probe's takes one line, or none when stdout has the object. */
export function failed(shape: Shape, raw: unknown): Failure {
  const error = toHeadgateError(raw);
  const exitStatus = shape.isProbe ? 1 : exitStatusOf(error);
  const { code, hint } = error;
  const message = redact(error.message, shape.secrets);
  if (!shape.isProbe) {
    shape.log("command.failed", { code, exit_status: exitStatus, message, hint });
  } else if (!shape.isJson) {
    const reason = hint === undefined ? message : `${message}. ${hint}`;
    shape.log("probe.not-ready", { code, reason: reason.replaceAll("\n", "; ") });
  }
  const json = { error: { code, message, hint: hint ?? null }, exit_status: exitStatus };
  return {
    stdout: shape.isJson ? toJson(shape.isProbe ? "probe" : "error", json) : "",
    exitStatus,
    lastWords: {
      message: printable(message),
      end: printable(
        redact(`${hint ?? "See the log"}\nexit status ${exitStatus} (${code})`, shape.secrets),
      ),
    },
  };
}

/** A server's control characters must not drive the terminal of whoever looks. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, "\uFFFD");
}

function toHeadgateError(error: unknown): HeadgateError {
  if (error instanceof HeadgateError) return error;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new HeadgateError(`Cannot go on: ${text}`, {
    code: "unexpected",
    hint: "This is a defect of headgate: report it with this text",
    cause: error,
  });
}
