/**
 * The files of `--seeds`: one transaction under the gate whenever one of them has changed, nothing at all
 * when none has. The witness table has no constraint, so that a second run would show.
 */
import { describe, expect, test } from "bun:test";
import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openCuttingRelay } from "../support/cutting-relay.ts";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { holdGate, holdOpen } from "../support/lock-holder.ts";
import { buildMutant } from "../support/mutant.ts";
import { atAddress } from "../support/postgres-admin.ts";
import { asRole, query, tablesOf, until } from "../support/query.ts";
import { race } from "../support/race.ts";
import { openRelay } from "../support/relay.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { useServers } from "../support/use-servers.ts";

const PATIENCE_MS = 60_000;
const servers = useServers();

const dir = migrationFolder({
  "1_witness.sql": `create table witness (
  file text, xact text, locks int, path text, at timestamptz default clock_timestamp()
);
create table settings (name text primary key, value text);
create table picky (id int primary key, parent int references picky deferrable initially deferred);`,
});
const LEDGER = "public.headgate_migrations";
const SEEDS = "public.headgate_seeds";
const OWN = ["public.picky", "public.settings", "public.witness"];

/** Says who ran, in which transaction, how many gate locks that held, and where names are looked up. */
const says = (file: string): string => `insert into witness (file, xact, locks, path)
select '${file}', pg_current_xact_id()::text, count(*), current_setting('search_path')
from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() and granted;\n`;

const witnesses = (...files: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(files.map((file) => [file, says(file)]));

const failed = (run: Run): string => String(eventOf(run, "command.failed")?.["reason"]);

async function ranIn(url: string): Promise<readonly string[]> {
  const rows = await query(url, "select file from witness order by at");
  return rows.map((row) => String(row["file"]));
}

async function recordIn(url: string): Promise<unknown> {
  const rows = await query(
    url,
    "select name, spec_number::int as number, fingerprint from headgate_seeds",
  );
  return rows;
}

/** An empty database with a folder of seeds, and how to run both. */
async function open(files: Readonly<Record<string, string | Uint8Array>>): Promise<Stage> {
  const { url } = await servers.postgres.createDatabase();
  return stageOf(url, migrationFolder(files));
}

interface Stage {
  readonly url: string;
  readonly folder: string;
  /** What leads to both folders. */
  readonly args: readonly string[];
  readonly ask: (command: string, ...more: readonly string[]) => Promise<Run>;
}

function stageOf(url: string, folder: string): Stage {
  const args = ["--dir", dir, "--seeds", folder];
  const ask: Stage["ask"] = (command, ...more) =>
    headgate([command, ...args, ...more], withUrl(url));
  return { url, folder, args, ask };
}

describe("the files", () => {
  test("run after the migrations in the order of their names, in one transaction under the gate", async () => {
    const { url, ask } = await open(witnesses("9_b.sql", "B.sql", "10_a.sql", "a.sql"));
    const run = await ask("up", "--json");
    expect(run.status).toBe(0);
    const files = ["10_a.sql", "9_b.sql", "B.sql", "a.sql"];
    expect(await ranIn(url)).toEqual(files);
    const { seeds } = JSON.parse(run.stdout) as { seeds: { files: string[] } };
    expect(seeds.files).toEqual(files);
    const said = run.events.filter(({ event }) => event === "seed.file-ran");
    expect(said.map(({ file }) => file)).toEqual(files);
    const [row] = await query(
      url,
      "select count(distinct xact)::int as xacts, min(locks) as least, max(locks) as most from witness",
    );
    expect(row).toEqual({ xacts: 1, least: 1, most: 1 });
    expect(await recordIn(url)).toEqual([
      { name: "custom", number: 0, fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) },
    ]);
    expect(await tablesOf(url)).toEqual([LEDGER, SEEDS, ...OWN]);
  });

  test("do not run again, and nobody tries the gate", async () => {
    const { url, folder, ask } = await open(witnesses("1.sql", "2.sql"));
    expect((await ask("up")).status).toBe(0);
    const holder = await holdGate(url);
    const relay = await openRelay(servers.postgres);
    const relayed = stageOf(`${atAddress(url, relay)}?sslmode=disable`, folder);
    for (const command of ["up", "seed"]) {
      const run = await relayed.ask(command);
      expect([run.status, eventOf(run, "gate.acquired")]).toEqual([0, undefined]);
    }
    await relay.close();
    await holder.release();
    const asked = relay.queries();
    expect(asked.filter((text) => /headgate_seeds/.test(text)).length).toBeGreaterThan(0);
    expect(asked.filter((text) => /advisory|begin|insert|witness/i.test(text))).toEqual([]);
    expect(await ranIn(url)).toEqual(["1.sql", "2.sql"]);
  });

  const changes: readonly [what: string, change: (folder: string) => void, then: string[]][] = [
    [
      "is changed",
      (folder) => writeFileSync(join(folder, "2.sql"), `${says("2.sql")}-- changed\n`),
      ["1.sql", "2.sql"],
    ],
    [
      "is added",
      (folder) => writeFileSync(join(folder, "0.sql"), says("0.sql")),
      ["0.sql", "1.sql", "2.sql"],
    ],
    ["is removed", (folder) => rmSync(join(folder, "1.sql")), ["2.sql"]],
    [
      "is renamed",
      (folder) => renameSync(join(folder, "1.sql"), join(folder, "3.sql")),
      ["2.sql", "1.sql"],
    ],
  ];
  test.concurrent.each(changes)("all run again when one %s, once", async (_what, change, then) => {
    const { url, folder, ask } = await open(witnesses("1.sql", "2.sql"));
    expect((await ask("up")).status).toBe(0);
    const before = await recordIn(url);
    change(folder);
    for (const _ of ["changed", "again"]) expect((await ask("up")).status).toBe(0);
    expect(await ranIn(url)).toEqual(["1.sql", "2.sql", ...then]);
    expect(await recordIn(url)).not.toEqual(before);
    expect(await recordIn(url)).toHaveLength(1);
  });

  test("do not run again for what git does to line ends, or for files of another kind", async () => {
    const { url, folder, ask } = await open(witnesses("1.sql"));
    expect((await ask("up")).status).toBe(0);
    writeFileSync(join(folder, "1.sql"), says("1.sql").replaceAll("\n", "\r\n"));
    writeFileSync(join(folder, "README.md"), "seeds");
    writeFileSync(join(folder, ".2.sql"), "select nosuch;");
    expect((await ask("up")).status).toBe(0);
    expect(await ranIn(url)).toEqual(["1.sql"]);
  });

  test("run alone by seed, once the migrations are there", async () => {
    const { url, ask } = await open(witnesses("1.sql"));
    expect((await ask("seed")).status).toBe(3);
    expect(await tablesOf(url)).toEqual([]);
    expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
    expect(await tablesOf(url)).toEqual([LEDGER, ...OWN]);
    const run = await ask("seed");
    expect([run.status, run.stdout]).toEqual([0, expect.stringContaining("ran 1.sql")]);
    expect(eventOf(await ask("seed"), "seed.file-ran")).toBeUndefined();
    expect(await ranIn(url)).toEqual(["1.sql"]);
  });

  test("are not run by --seed none", async () => {
    const { url, ask } = await open(witnesses("1.sql"));
    expect((await ask("up", "--seed", "none")).status).toBe(0);
    expect(await ranIn(url)).toEqual([]);
  });

  test("each begin with the session's own role and search path", async () => {
    const { user } = await servers.postgres.createRole();
    const { url, ask } = await open({
      "1.sql": `grant usage on schema public to ${user}; grant select on settings to ${user};
set local search_path = pg_catalog, public; set local role ${user}; select * from settings;`,
      ...witnesses("2.sql"),
    });
    const run = await ask("up");
    expect([run.status, failed(run)]).toEqual([0, "undefined"]);
    const [row] = await query(url, "select path from witness");
    expect(row?.["path"]).toBe('"$user", public');
    expect(await recordIn(url)).toHaveLength(1);
    await query(url, `drop owned by ${user}`);
  });

  test("run beside the gateway's rows, each recorded by its name", async () => {
    const { url } = await servers.postgres.createDatabase();
    const folder = migrationFolder({
      "1.sql":
        "insert into servers (id, name) select 'one', 'one' where not exists (select from servers);",
    });
    const run = await headgate(["up", "--seeds", folder], withUrl(url));
    expect([run.status, failed(run)]).toEqual([0, "undefined"]);
    const names = await query(url, "select name from headgate_seeds order by name");
    expect(names.map(({ name }) => name)).toEqual(["custom", "rbac"]);
    const probe = ["probe", "--require-seeds", "--seeds", folder];
    expect((await headgate(probe, withUrl(url))).status).toBe(0);
    await query(url, "delete from headgate_seeds where name = 'rbac'");
    expect((await headgate(probe, withUrl(url))).status).toBe(1);
  });
});

describe("an error", () => {
  test("in the second file rolls the first one back, and points at itself", async () => {
    const stage = await open({
      ...witnesses("1.sql"),
      "2_bad.sql": "-- größer 👍\nselect 'ä', nosuch;\n",
      ...witnesses("3.sql"),
    });
    const run = await stage.ask("up");
    expect(run.status).toBe(9);
    expect(failed(run)).toStartWith("Cannot seed from 2_bad.sql: ");
    expect(failed(run)).toContain("(SQLSTATE 42703)\n2_bad.sql:2:13");
    const lines = failed(run).split("\n");
    const caret = (lines.at(-1) ?? "").indexOf("^");
    expect([...(lines.at(-2) ?? "")].slice(caret).join("")).toBe("nosuch;");
    expect(await ranIn(stage.url)).toEqual([]);
    expect(await tablesOf(stage.url)).toEqual([LEDGER, ...OWN]);
    expect((await headgate(["probe", "--dir", dir], withUrl(stage.url))).status).toBe(0);
    writeFileSync(join(stage.folder, "2_bad.sql"), says("2_bad.sql"));
    expect((await stage.ask("up")).status).toBe(0);
    expect(await ranIn(stage.url)).toEqual(["1.sql", "2_bad.sql", "3.sql"]);
  });

  test("is only a warning under --seed-failure warn, and rolls back all the same", async () => {
    const { url, ask } = await open({ ...witnesses("1.sql"), "2.sql": "select nosuch;" });
    const run = await ask("up", "--seed-failure", "warn");
    expect(run.status).toBe(0);
    expect(eventOf(run, "seed.failed")?.["reason"]).toContain("2.sql:1:8");
    expect([await ranIn(url), await tablesOf(url)]).toEqual([[], [LEDGER, ...OWN]]);
  });

  test("keeps what an earlier version of the files has left", async () => {
    const { url, folder, ask } = await open(witnesses("1.sql"));
    expect((await ask("up")).status).toBe(0);
    const record = await recordIn(url);
    writeFileSync(join(folder, "1.sql"), `${says("1.sql")}insert into nosuch values (1);`);
    expect((await ask("up")).status).toBe(9);
    expect([await ranIn(url), await recordIn(url)]).toEqual([["1.sql"], record]);
  });

  test("of a constraint that is checked at COMMIT is named", async () => {
    const { url, ask } = await open({
      ...witnesses("1.sql"),
      "2.sql": "insert into picky values (1, 2);",
    });
    const run = await ask("up");
    expect(run.status).toBe(9);
    expect(failed(run)).toContain("picky_parent_fkey");
    expect(failed(run)).toContain("(SQLSTATE 23503)");
    expect(await tablesOf(url)).toEqual([LEDGER, ...OWN]);
    expect(await ranIn(url)).toEqual([]);
  });

  test("of a role that may not keep the record names the cure, and rolls back", async () => {
    const { url, folder, ask } = await open(witnesses("1.sql"));
    expect((await ask("up", "--seed", "none")).status).toBe(0);
    const role = await servers.postgres.createRole();
    await query(
      url,
      `revoke create on schema public from public;
grant usage on schema public to ${role.user}; grant all on all tables in schema public to ${role.user}`,
    );
    const run = await stageOf(asRole(url, role), folder).ask("up");
    expect(run.status).toBe(9);
    expect(failed(run)).toContain("Cannot create the seeds table");
    expect(eventOf(run, "command.failed")?.["hint"]).toContain("grant create, usage on schema");
    expect(await ranIn(url)).toEqual([]);
    await query(url, `drop owned by ${role.user}`);
  });
});

describe("a folder that cannot be used is exit 2, before anything runs:", () => {
  type Files = Readonly<Record<string, string | Uint8Array>>;
  const refused: readonly [what: string, files: Files, reason: string][] = [
    ["COMMIT", { "1.sql": "insert into witness values ('1');\ncommit;" }, "1.sql:2:1"],
    ["SET without LOCAL", { ...witnesses("1.sql"), "2.sql": "set role app;" }, "2.sql:1:1"],
    ["a psql command", { "1.sql": "\\i other.sql" }, "1.sql:1:1"],
    ["COPY from stdin", { "1.sql": "copy witness from stdin;" }, "COPY"],
    ["no file", {}, "it has no seed file (name.sql)"],
    [
      "files of another kind only",
      { "1.txt": "select 1", ".1.sql": "select 1" },
      "it has no seed file",
    ],
    ["not UTF-8", { "1.sql": new Uint8Array([0x73, 0xff]) }, "1.sql: it is not UTF-8"],
  ];
  test.concurrent.each(refused)("%s", async (_what, files, reason) => {
    const { url, ask } = await open(files);
    for (const command of ["up", "seed"]) {
      const run = await ask(command);
      expect([command, run.status, run.stdout]).toEqual([command, 2, ""]);
      expect(failed(run)).toContain(reason);
      expect(eventOf(run, "command.failed")?.["hint"]).toBeString();
    }
    expect(await tablesOf(url)).toEqual([]);
  });

  test("one that is missing, or is a file", async () => {
    const { url } = await servers.postgres.createDatabase();
    const folder = createScratchFolder("seeds");
    writeFileSync(join(folder, "1.sql"), "select 1;");
    for (const path of [join(folder, "nosuch"), join(folder, "1.sql")]) {
      const run = await stageOf(url, path).ask("up");
      expect(run.status).toBe(2);
      expect(failed(run)).toContain(`Cannot use the seeds of ${path}: the folder cannot be read`);
      expect(eventOf(run, "command.failed")?.["hint"]).toContain("--seeds");
    }
    expect(await tablesOf(url)).toEqual([]);
  });

  test("a folder in the place of a file", async () => {
    const { url, folder, ask } = await open(witnesses("1.sql"));
    mkdirSync(join(folder, "2.sql"));
    const run = await ask("up");
    expect([run.status, failed(run)]).toEqual([
      2,
      expect.stringContaining("2.sql: it cannot be read"),
    ]);
    expect(await tablesOf(url)).toEqual([]);
  });

  test("without a ledger there is nowhere to keep the record", async () => {
    const { url, ask } = await open(witnesses("1.sql"));
    const run = await ask("seed", "--no-ledger");
    expect([run.status, failed(run)]).toEqual([
      2,
      expect.stringContaining("seed files need a ledger"),
    ]);
    expect(await tablesOf(url)).toEqual([]);
  });
});

describe("12 runners at once", () => {
  const COUNT = 12;

  async function raced(
    binary?: string,
  ): Promise<{ files: readonly string[]; runs: readonly Run[] }> {
    const { url, args } = await open(witnesses("1.sql", "2.sql"));
    const options = { ...withUrl(url), ...(binary === undefined ? {} : { binary }) };
    const { runs } = await race(COUNT, ["up", ...args], options);
    return { files: await ranIn(url), runs };
  }

  test("run the files exactly once", async () => {
    const { files, runs } = await raced();
    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => 0));
    expect(files).toEqual(["1.sql", "2.sql"]);
    expect(runs.filter((run) => eventOf(run, "seed.file-ran"))).toHaveLength(1);
  }, 60_000);

  test("run them more than once, if nobody looks again", async () => {
    const { binary, remove } = await buildMutant(
      {
        file: "flow/custom-task.ts",
        find: "if (exists && (await this.isDone(connection, place)))",
        replace: "if (exists && this.#files.length > 0)",
      },
      {
        file: "flow/custom-task.ts",
        find: "isDone: await this.isDone(connection, place), mark",
        replace: "isDone: false, mark",
      },
    );
    let most = 0;
    // A race may be lucky once.
    for (let round = 1; round <= 5 && most <= 2; round += 1) {
      most = (await raced(binary)).files.length;
    }
    remove();
    expect(most).toBeGreaterThan(2);
  }, 120_000);
});

describe("probe --require-seeds", () => {
  test("answers 1 before the files have run, 0 after, and 1 when they are others", async () => {
    const { url, folder, ask } = await open(witnesses("1.sql"));
    expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
    const asked = async (): Promise<unknown> => {
      const [plain, probe, status] = await Promise.all([
        ask("probe"),
        ask("probe", "--require-seeds"),
        ask("status", "--require-seeds", "--exit-code"),
      ]);
      return [plain.status, probe.status, status.status];
    };
    expect(await asked()).toEqual([0, 1, 9]);
    const not = await ask("probe", "--require-seeds");
    expect(eventOf(not, "probe.not-ready")?.["reason"]).toContain(
      "seeds-stale: seeds custom have never",
    );
    expect((await ask("up")).status).toBe(0);
    expect(await asked()).toEqual([0, 0, 0]);
    writeFileSync(join(folder, "1.sql"), "select 1;");
    expect(await asked()).toEqual([0, 1, 9]);
    const other = await ask("probe", "--require-seeds");
    expect(eventOf(other, "probe.not-ready")?.["reason"]).toContain("another content");
    expect((await ask("seed")).status).toBe(0);
    expect(await asked()).toEqual([0, 0, 0]);
    expect(await ranIn(url)).toEqual(["1.sql"]);
  });
});

describe("a file that ends its transaction behind the reader's back", () => {
  /** With the setting off, as old roles have it, `\'` does not end the string and COMMIT is a statement. */
  const TRICK = "select 'a\\' , ' ; commit; select 1 --'";

  test("is reported, and is not taken for done", async () => {
    const { url, folder, ask } = await open({ ...witnesses("1.sql"), "2.sql": TRICK });
    const { pathname } = new URL(url);
    await query(url, `alter database ${pathname.slice(1)} set standard_conforming_strings = off`);
    const run = await ask("up");
    expect([run.status, failed(run)]).toEqual([9, expect.stringContaining("2.sql")]);
    expect(failed(run)).toContain("it ended the transaction that headgate opened");
    expect(await ranIn(url)).toEqual(["1.sql"]);
    expect(await tablesOf(url)).toEqual([LEDGER, ...OWN]);
    writeFileSync(join(folder, "2.sql"), "select 1;");
    expect((await ask("up")).status).toBe(0);
    expect(await recordIn(url)).toHaveLength(1);
  });

  const inside: readonly [how: string, sql: string][] = [
    ["a DO block", "do $$ begin insert into settings values ('a', 'b'); commit; end $$;"],
    ["a procedure", "call committing();"],
  ];
  test.each(inside)("cannot do it by COMMIT in %s", async (_how, sql) => {
    const { url, ask } = await open({ ...witnesses("1.sql"), "2.sql": sql });
    expect((await ask("up", "--seed", "none")).status).toBe(0);
    await query(
      url,
      `create procedure committing() language plpgsql as $$
begin insert into settings values ('a', 'b'); commit; end $$`,
    );
    const run = await ask("up");
    expect([run.status, failed(run)]).toEqual([9, expect.stringContaining("2.sql")]);
    expect(failed(run)).toContain("(SQLSTATE 2D000)");
    expect(await query(url, "select name from settings")).toEqual([]);
    expect([await ranIn(url), await tablesOf(url)]).toEqual([[], [LEDGER, ...OWN]]);
  });
});

describe("a runner", () => {
  test("killed in the second file leaves nothing of the first, and the next one runs both", async () => {
    const stage = await open({
      ...witnesses("1.sql"),
      "2.sql": "update settings set value = 'b';",
    });
    expect((await stage.ask("up", "--seed", "none")).status).toBe(0);
    const holder = await holdOpen(stage.url, "lock table settings in share mode");
    const victim = start(["up", ...stage.args], withUrl(stage.url));
    const isBlocked = `select from pg_stat_activity where ${holder.pid} = any (pg_blocking_pids(pid))`;
    await until(stage.url, isBlocked, PATIENCE_MS);
    victim.kill("SIGKILL");
    await victim.done;
    await until(stage.url, `select where not exists (${isBlocked})`, PATIENCE_MS);
    expect([await ranIn(stage.url), await tablesOf(stage.url)]).toEqual([[], [LEDGER, ...OWN]]);
    await holder.release();
    expect((await stage.ask("up")).status).toBe(0);
    expect(await ranIn(stage.url)).toEqual(["1.sql"]);
  }, 60_000);

  /** Its COMMIT arrives, and the answer is lost. */
  async function unanswered(): Promise<{ readonly url: string; readonly run: Run }> {
    const { url, folder, ask } = await open(witnesses("1.sql"));
    expect((await ask("up", "--seed", "none")).status).toBe(0);
    const relay = await openCuttingRelay(servers.postgres, "commit\0");
    const relayed = stageOf(`${atAddress(url, relay)}?sslmode=disable`, folder);
    const run = await relayed.ask("up", "--json");
    await relay.close();
    expect([relay.hasCut(), run.status]).toEqual([true, 0]);
    return { url, run };
  }

  test("whose COMMIT is not answered does not run the files twice", async () => {
    const { url } = await unanswered();
    expect(await ranIn(url)).toEqual(["1.sql"]);
  }, 60_000);

  test("whose COMMIT is not answered says all the same that its files ran", async () => {
    const { run } = await unanswered();
    const { seeds } = JSON.parse(run.stdout) as { seeds: { files: string[] } };
    expect(seeds.files).toEqual(["1.sql"]);
    expect(eventOf(run, "seed.file-ran")?.["file"]).toBe("1.sql");
  }, 60_000);
});
