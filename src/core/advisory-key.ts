/** Advisory keys as pg_locks splits them, put together again, and whose they are. */

/** One lock's identity: a 64-bit key, or two 32-bit ones. The two spaces never meet. */
export type AdvisoryKey =
  | { readonly kind: "bigint"; readonly value: bigint }
  | { readonly kind: "pair"; readonly first: number; readonly second: number };

/** `objsubid` of a key that was given as two integers. */
const PAIR = 2;

/**
 * Puts together what pg_locks shows as two unsigned halves.
 *
 * @example `advisoryKey(9877, 2850441650, 1)` is the bigint 42424242424242
 */
export function advisoryKey(classid: number, objid: number, objsubid: number): AdvisoryKey {
  if (objsubid === PAIR) return { kind: "pair", first: classid | 0, second: objid | 0 };
  return {
    kind: "bigint",
    value: BigInt.asIntN(64, (BigInt(classid) << 32n) | BigInt(objid)),
  };
}

/** As its owner wrote it: `42424242424242`, or `(1, 2)`. */
export function renderKey(key: AdvisoryKey): string {
  return key.kind === "pair" ? `(${key.first}, ${key.second})` : String(key.value);
}

/** Keys that a tool uses everywhere. */
const FIXED: ReadonlyMap<bigint, string> = new Map([
  [42424242424242n, "the gateway's Alembic bootstrap"],
  [6283185307179n, "the gateway's metrics aggregation"],
  [72707369n, "Prisma Migrate"],
  [4097083626n, "goose"],
  [2686470616n, "Atlas"],
  [4727445306447283n, "Graphile Migrate"],
  [9628173550095224n, "tern"],
  [7241865325823964n, "node-pg-migrate"],
  [3853314791062309107n, "Kysely"],
  [75474063n, "Sqitch"],
]);

/** Flyway adds the 32-bit hash of its table's name to the bytes of its own name. */
const FLYWAY = 0x466c79776179n;
const HASH_REACH = 2n ** 31n;

const RAILS_SALT = 2053462845n;
const SQLX_SALT = 0x3d32ad9en;
const GOLANG_MIGRATE_SALT = 1486364155;

/**
 * The migration tool that takes this key; undefined: none that is known. Some derive theirs from
 * the database's name.
 */
export function toolOf(key: AdvisoryKey, database: string): string | undefined {
  if (key.kind === "pair") return undefined;
  const { value } = key;
  const fixed = FIXED.get(value);
  if (fixed !== undefined) return fixed;
  if (value >= FLYWAY - HASH_REACH && value < FLYWAY + HASH_REACH) return "Flyway";
  const hash = BigInt(crc32(database));
  if (value === BigInt.asIntN(64, RAILS_SALT * hash)) return "Rails";
  if (value === BigInt.asIntN(64, SQLX_SALT * hash)) return "sqlx";
  return value === golangMigrateKey(database) ? "golang-migrate" : undefined;
}

/** Of its default table. */
function golangMigrateKey(database: string): bigint {
  const hash = crc32(["public", "schema_migrations", database].join("\0"));
  return BigInt(Math.imul(hash, GOLANG_MIGRATE_SALT) >>> 0);
}

const CRC_POLYNOMIAL = 0xedb88320;
const BITS_PER_BYTE = 8;

/** CRC-32 as in zlib, over UTF-8. */
function crc32(text: string): number {
  let crc = 0xffffffff;
  for (const byte of new TextEncoder().encode(text)) {
    crc ^= byte;
    for (let bit = 0; bit < BITS_PER_BYTE; bit += 1) {
      crc = crc & 1 ? (crc >>> 1) ^ CRC_POLYNOMIAL : crc >>> 1;
    }
  }
  return ~crc >>> 0;
}
