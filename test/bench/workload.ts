/** The same migrations in every tool's own format. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { migrationFolder } from "../support/folder.ts";
import { createScratchFolder } from "../support/scratch.ts";

/** `light` costs the server next to nothing, so that the tool's own cost shows; `tables` makes files. */
export type Kind = "light" | "tables";

export interface Workload {
  readonly count: number;
  readonly texts: readonly string[];
  /** Folders and files, made when first asked for. */
  readonly headgate: () => string;
  readonly dbmate: () => string;
  /** One file with all statements. */
  readonly psql: () => string;
  /** The configuration of a script folder. */
  readonly alembic: () => string;
}

/** The n-th text differs from every other. */
export function workload(kind: Kind, count: number): Workload {
  const texts = Array.from({ length: count }, (_each, i) => statement(kind, i + 1));
  return {
    count,
    texts,
    headgate: once(() => migrationFolder(filesOf(texts, (n) => `${n}_m.sql`, plain))),
    dbmate: once(() => migrationFolder(filesOf(texts, (n) => `${20250101000000 + n}_m.sql`, up))),
    psql: once(() => join(migrationFolder({ "all.sql": texts.join("\n") }), "all.sql")),
    alembic: once(() => alembicFolder(texts)),
  };
}

function statement(kind: Kind, n: number): string {
  if (kind === "light" && n > 1) return `comment on table t1 is 'm${n}';`;
  return `create table t${n} (id bigint primary key, v text);`;
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

function filesOf(
  texts: readonly string[],
  name: (n: number) => string,
  content: (text: string, n: number) => string,
): Readonly<Record<string, string>> {
  return Object.fromEntries(texts.map((text, i) => [name(i + 1), content(text, i + 1)]));
}

function plain(text: string): string {
  return `${text}\n`;
}

function up(text: string): string {
  return `-- migrate:up\n${text}\n\n-- migrate:down\nselect 1;\n`;
}

const ALEMBIC_ENVIRONMENT = `import os
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
`;

function revision(text: string, n: number): string {
  return `"""m${n}"""
from alembic import op

revision = "r${n}"
down_revision = ${n === 1 ? "None" : `"r${n - 1}"`}
branch_labels = None
depends_on = None


def upgrade():
    op.execute("${text.replace(/;$/, "")}")


def downgrade():
    pass
`;
}

function alembicFolder(texts: readonly string[]): string {
  const folder = createScratchFolder("alembic");
  const versions = join(folder, "versions");
  const config = join(folder, "alembic.ini");
  mkdirSync(versions);
  for (const [file, text] of Object.entries(filesOf(texts, (n) => `r${n}.py`, revision))) {
    writeFileSync(join(versions, file), text);
  }
  writeFileSync(join(folder, "env.py"), ALEMBIC_ENVIRONMENT);
  writeFileSync(config, `[alembic]\nscript_location = ${folder}\n`);
  return config;
}
