/** `doctor`: one look at everything that is known to go wrong. Reads, but for one harmless setting. */
import type { DbError } from "../core/db-error.ts";
import { type Finding, sortFindings, uncheckedFinding } from "../core/doctor.ts";
import { HeadgateError } from "../core/error.ts";
import type { Target } from "../core/target.ts";
import type { Connection } from "../ports.ts";
import { type Access, type BundleSource, connect, type World } from "./access.ts";
import { unreachableError } from "./db-trouble.ts";
import { CHECKS, type Patient } from "./doctor-checks.ts";

/** What was found, strongest first. */
export interface DoctorReport {
  readonly findings: readonly Finding[];
}

/** The world's wall clock, and a value that nobody else uses. */
export interface DoctorTools {
  readonly wallMs: () => number;
  readonly token: string;
}

/**
 * Makes every check; one that cannot be made becomes a note.
 *
 * @throws {HeadgateError} `unreachable` when the database does not answer at all
 */
export async function doctor(
  world: World,
  access: Access,
  source: BundleSource,
  tools: DoctorTools,
): Promise<DoctorReport> {
  const sessions = openSessions(world, access);
  const { main, direct = main } = access;
  const patient: Patient = { world, access, source, ...tools, main, direct, ...sessions };
  try {
    await sessions
      .ask(main, (connection) => connection.run("select 1"))
      .catch((error: unknown) => {
        throw error instanceof HeadgateError ? error : unreachableError(error as DbError);
      });
    const findings: Finding[] = [];
    for (const [name, check] of Object.entries(CHECKS)) {
      findings.push(...(await check(patient).catch((error: unknown) => unchecked(name, error))));
      if (world.stop.aborted) throw world.stop.reason;
    }
    return { findings: sortFindings(findings) };
  } finally {
    await sessions.close();
  }
}

function unchecked(check: string, error: unknown): readonly Finding[] {
  const problem = error instanceof Error ? error.message : String(error);
  return [uncheckedFinding(check, problem.replace(/\s+/g, " "))];
}

/** One connection per address, a new one after a failure. */
function openSessions(
  world: World,
  access: Access,
): Pick<Patient, "ask" | "open"> & { readonly close: () => Promise<void> } {
  const sessions = new Map<Target, Connection>();
  return {
    open: (target) => connect(world, access, target),
    ask: async (target, question) => {
      const connection = sessions.get(target) ?? connect(world, access, target);
      sessions.set(target, connection);
      try {
        return await question(connection);
      } catch (error) {
        sessions.delete(target);
        await connection.close();
        throw error;
      }
    },
    close: async () => {
      for (const connection of sessions.values()) await connection.close();
    },
  };
}
