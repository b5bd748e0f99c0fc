/** Does what `status` and `up` tell a person to do about an interrupted migration. */
import { eventOf, headgate, type Run, type RunOptions } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import type { Settled } from "./evidence.ts";

const STATEMENTS = ["first", "enter", "last"] as const;

/** What a person has before them. */
export interface Plight {
  /** The `up` that ended with 4. */
  readonly refused: Run;
  readonly bundle: readonly string[];
  readonly options: RunOptions;
  /** Past any pooler. */
  readonly url: string;
  /** Finish by hand, or take back what was done. */
  readonly finishes: boolean;
}

/**
 * @throws {Error} when the two do not say which migration it is and how many statements are done.
 */
export async function settle(plight: Plight): Promise<Settled> {
  const { refused, bundle, options, url, finishes } = plight;
  const said = String(eventOf(refused, "command.failed")?.["reason"]);
  const status = await headgate(["status", ...bundle, "--exit-code"], options);
  const says = /migration 2 .*nobody works on it \((\d) of its statements are done/.exec(said);
  if (!says || status.status !== 4 || !/\b2\b.*interrupted/.test(status.stdout)) {
    throw new Error(`no person can act on: ${said}\n${status.status} ${status.stdout}`);
  }
  const how = finishes ? "applied" : "rolled-back";
  await query(url, finishes ? await missing(url) : "delete from witness.log where version = 2");
  const resolved = await headgate(["resolve", ...bundle, "2", `--${how}`], options);
  if (resolved.status !== 0) throw new Error(`resolve failed: ${resolved.stderr}`);
  return { said, how };
}

async function missing(url: string): Promise<string> {
  const rows = await query(url, "select mark from witness.log where version = 2");
  const there = new Set(rows.map(({ mark }) => String(mark)));
  const marks = STATEMENTS.filter((mark) => !there.has(mark));
  return `insert into witness.log select 2, unnest('{${marks}}'::text[])`;
}
