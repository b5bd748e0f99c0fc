/** Existing installations of the application: its tables as either history of a database has left them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { query } from "./query.ts";

/** "alembic": created by the chain of revisions. "orm": created from the models, then stamped. */
export const LINEAGES: readonly ["alembic", "orm"] = ["alembic", "orm"];

export type Lineage = (typeof LINEAGES)[number];

/** Both lineages are at this head; only their schemas differ. */
const STAMP = `
create table alembic_version (
  version_num varchar(32) not null,
  constraint alembic_version_pkc primary key (version_num)
);
insert into alembic_version (version_num) values ('d8d7939e73e9');`;

/** Creates the tables, without rows, and the stamp; all or nothing. */
export async function createLineage(url: string, lineage: Lineage): Promise<void> {
  const path = join(import.meta.dirname, "lineages", `${lineage}.sql`);
  await query(url, readFileSync(path, "utf8") + STAMP);
}
