/** The table of what has been seeded. It stands beside the ledger and is read by probes. */
import * as v from "valibot";
import { sqlStateOf, UNDEFINED_TABLE } from "../core/db-error.ts";
import { quoteLedger } from "../core/identifier.ts";
import type { LedgerName, LedgerPlace } from "../core/ledger.ts";
import type { SeedMark, SeedRecord } from "../core/seed-mark.ts";
import type { Connection } from "../ports.ts";

const rowSchema = v.object({
  name: v.string(),
  spec_number: v.pipe(v.union([v.string(), v.number()]), v.transform(Number), v.safeInteger()),
  fingerprint: v.string(),
  finished_at: v.nullable(v.date()),
});

/**
 * All rows; none when the table is not there, outside a transaction.
 *
 * @param seeds See `seedsTable`.
 */
export async function readSeeds(
  connection: Connection,
  seeds: LedgerName | LedgerPlace,
): Promise<readonly SeedRecord[]> {
  try {
    const { rows } = await connection.run(
      `select name, spec_number, fingerprint, finished_at from ${quoteLedger(seeds)} order by name`,
    );
    return rows.map((raw) => {
      const row = v.parse(rowSchema, raw);
      const { name, fingerprint } = row;
      return { name, number: row.spec_number, fingerprint, finishedAt: row.finished_at };
    });
  } catch (error) {
    if (sqlStateOf(error) === UNDEFINED_TABLE) return [];
    throw error;
  }
}

/** Called inside the gate, after a query has shown that the table is missing. */
export async function createSeeds(connection: Connection, seeds: LedgerPlace): Promise<void> {
  await connection.run(`create table ${quoteLedger(seeds)} (
  name text primary key,
  spec_number bigint not null,
  fingerprint text not null,
  finished_at timestamptz not null default clock_timestamp()
)`);
}

/** In the transaction that seeded. */
export async function recordSeed(
  connection: Connection,
  seeds: LedgerPlace,
  { name, number, fingerprint }: SeedMark,
): Promise<void> {
  await connection.bind(
    `insert into ${quoteLedger(seeds)} as seeds (name, spec_number, fingerprint, finished_at)
values ($1::text, $2::bigint, $3::text, clock_timestamp())
on conflict (name) do update set spec_number = excluded.spec_number,
  fingerprint = excluded.fingerprint, finished_at = excluded.finished_at
where seeds.spec_number <= excluded.spec_number`,
    [name, number, fingerprint],
  );
}

/** For a definition that is not given any more. */
export async function forgetSeed(
  connection: Connection,
  seeds: LedgerPlace,
  name: string,
): Promise<void> {
  await connection.bind(`delete from ${quoteLedger(seeds)} where name = $1::text`, [name]);
}
