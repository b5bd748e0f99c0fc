/** What a pod's status shows of a failure: one short text in the file that Kubernetes reads. */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, start, withUrl } from "../support/headgate.ts";
import { buildMutant } from "../support/mutant.ts";
import { asRole, until } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { useServers } from "../support/use-servers.ts";

const servers = useServers();
const good = migrationFolder({ "1_good.sql": "create table good ();\n" });
const NOBODY = "postgres://nobody@127.0.0.1:1/none";

interface Place {
  readonly file: string;
  readonly env: Readonly<Record<string, string>>;
}

function newPlace(): Place {
  const file = join(createScratchFolder("termination"), "log");
  return { file, env: { HEADGATE_TERMINATION_LOG: file } };
}

const textOf = ({ file }: Place): string | undefined =>
  existsSync(file) ? readFileSync(file, "utf8") : undefined;

test("a signal's reason is there, and the next success leaves it alone", async () => {
  const { url } = await servers.postgres.createDatabase();
  const place = newPlace();
  const sleepy = migrationFolder({ "1_good.sql": "select pg_sleep(60);\n" });
  const run = start(["up", "--dir", sleepy, "--termination-log", place.file], withUrl(url));
  await until(
    url,
    "select from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'",
  );
  run.kill("SIGTERM");
  expect((await run.done).status).toBe(143);
  const text = `Cannot go on: stopped by SIGTERM
Run it again: what is committed stays, the rest is rolled back
exit status 143 (sigterm)
`;
  expect(textOf(place)).toBe(text);
  const again = await headgate(["up", "--dir", good], withUrl(url, place.env));
  expect([again.status, textOf(place)]).toEqual([0, text]);
}, 60_000);

test("a migration's failure is there, and without the password", async () => {
  const role = await servers.postgres.createRole({
    password: "pa55-not-for-the-log",
    attributes: "superuser",
  });
  const { url } = await servers.postgres.createDatabase();
  const place = newPlace();
  const told = `do $$ begin raise exception 'the password is ${role.password}'; end $$;\n`;
  const args = ["up", "--dir", migrationFolder({ "1_tells.sql": told })];
  const options = withUrl(asRole(url, role), place.env);
  expect((await headgate(args, options)).status).toBe(4);
  expect(textOf(place)).toStartWith(
    "Cannot apply 1_tells.sql: the password is *** (SQLSTATE P0001)",
  );
  expect(textOf(place)).toEndWith("exit status 4 (migration-failed)\n");
  expect(textOf(place)).not.toContain(role.password);

  const mutant = await buildMutant({
    file: "cli/failure.ts",
    find: "const message = redact(error.message, shape.secrets);",
    replace: "const message = error.message;",
  });
  await headgate(args, { ...options, binary: mutant.binary });
  mutant.remove();
  expect(textOf(place)).toContain(role.password);
}, 60_000);

describe("what needs no server", () => {
  const cases: readonly [args: readonly string[], env: Record<string, string>, end: string][] = [
    [["up"], {}, "exit status 2 (config-invalid)\n"],
    [["seed"], {}, "exit status 2 (config-invalid)\n"],
    [["up", "--bogus"], {}, "exit status 2 (usage)\n"],
    [["migrate", "--lock-wait", "soon"], {}, "exit status 2 (config-invalid)\n"],
    [["up", "--dir", "/nowhere"], { DATABASE_URL: NOBODY }, "exit status 2 (bundle-invalid)\n"],
    [["seed", "--deadline", "1ms"], { DATABASE_URL: NOBODY }, "exit status 6 (deadline-passed)\n"],
  ];
  test.each(cases)("%j says why", async (args, env, end) => {
    const place = newPlace();
    const run = await headgate(args, { env: { ...place.env, ...env } });
    expect(run.status).not.toBe(0);
    expect(textOf(place)).toEndWith(end);
  });

  test.each(["probe", "check --bogus", "status", "version --bogus", "bogus"])(
    "%s leaves the application's file alone",
    async (words) => {
      const place = newPlace();
      writeFileSync(place.file, "the application's");
      const run = await headgate(words.split(" "), {
        env: { ...place.env, DATABASE_URL: NOBODY },
      });
      expect(run.status).not.toBe(0);
      expect(textOf(place)).toBe("the application's");
    },
  );

  test("a file of settings may name it", async () => {
    const place = newPlace();
    const settings = join(createScratchFolder("settings"), "env");
    writeFileSync(settings, `HEADGATE_TERMINATION_LOG=${place.file}\n`);
    const run = await headgate(["up", "--env-file", settings]);
    expect([run.status, textOf(place)]).toEqual([2, expect.stringContaining("exit status 2")]);
  });

  test("one that cannot be written is a warning, and the status stays", async () => {
    const run = await headgate(["up", "--termination-log", "/nowhere/log"]);
    expect(run.status).toBe(2);
    expect(eventOf(run, "termination.unlogged")).toMatchObject({ file: "/nowhere/log" });
  });
});
