/** Any password connects from every command, raw or escaped, also through PgBouncer; none is ever shown. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { migrationFolder } from "../support/folder.ts";
import { headgate, type Run, start, withUrl } from "../support/headgate.ts";
import { openStub, STUB_PASSWORD } from "../support/stub-server.ts";
import {
  type Credentials,
  type Database,
  openSubstrate,
  type Pgbouncer,
  type PostgresServer,
  type Substrate,
} from "../support/substrate.ts";

const dir = migrationFolder({
  "1_a.sql": "-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;",
});

const PASSWORDS = [
  "p%ss-word",
  "p%41%zz-word",
  "p@ss-word",
  "p:ss-word",
  "p/ss-word",
  "p?ss-word",
  "p?a=b-word",
  "p#ss-word",
  "p+ss word",
  "p&ss=word",
  "pässwörd-€",
  "@p:/?#[]+&=%'\"\\word",
] as const;

let substrate: Substrate;
let server: PostgresServer;
let pooler: Pgbouncer;
const roles = new Map<string, Credentials>();

beforeAll(async () => {
  substrate = await openSubstrate();
  server = await substrate.postgres();
  for (const password of PASSWORDS) {
    roles.set(password, await server.createRole({ password, attributes: "superuser" }));
  }
  pooler = await substrate.pgbouncer(server, { users: [...roles.values()] });
}, 60_000);

afterAll(() => substrate?.close(), 60_000);

/** Runs, and looks for the password in whatever came out. */
async function ask(url: string, password: string, ...args: string[]): Promise<Run> {
  const run = await headgate([...args, "--dir", dir], withUrl(url));
  for (const form of [password, encodeURIComponent(password)]) {
    expect(run.stdout).not.toContain(form);
    expect(run.stderr).not.toContain(form);
  }
  return run;
}

type Ways = Readonly<Record<"raw" | "escaped" | "raw, pooled" | "escaped, pooled", string>>;

/** By hand: `new URL` would escape what is to stay raw. */
function waysTo(database: Database, password: string): Ways {
  const { user } = roles.get(password)!;
  const url = (word: string, { host, port }: { host: string; port: number }): string =>
    `postgres://${user}:${word}@${host}:${port}/${database.name}`;
  return {
    raw: url(password, server),
    escaped: url(encodeURIComponent(password), server),
    "raw, pooled": url(password, pooler),
    "escaped, pooled": url(encodeURIComponent(password), pooler),
  };
}

describe("the password", () => {
  test.each(PASSWORDS)("%s", async (password) => {
    const ways = waysTo(await server.createDatabase(), password);
    expect((await ask(ways["raw, pooled"], password, "up")).status).toBe(0);
    const readers = await Promise.all([
      ...Object.values(ways).map((url) => ask(url, password, "probe")),
      ask(ways.escaped, password, "status", "--exit-code"),
      ask(ways["escaped, pooled"], password, "plan"),
    ]);
    expect(readers.map(({ status }) => status)).toEqual([0, 0, 0, 0, 0, 0]);
    expect((await ask(ways.raw, password, "down", "1")).status).toBe(0);
    expect((await ask(ways["escaped, pooled"], password, "up")).status).toBe(0);
    expect((await ask(ways["raw, pooled"], password, "down", "1")).status).toBe(0);
  });
});

describe("a failing run shows no password:", () => {
  const failing: readonly [when: string, change: (url: string) => string][] = [
    ["it is wrong", (url) => url],
    ["nobody listens", (url) => url.replace(/:\d+\/db_/, ":1/db_")],
    ["the URL is malformed", (url) => url.replace("postgres://", "postgresq://")],
    ["the host is malformed", (url) => url.replace("127.0.0.1", "12 7.0.0.1")],
    ["the user is missing", (url) => url.replace(/role_\w+/, "")],
  ];
  test.each(failing)("%s", async (_when, change) => {
    const { name } = await server.createDatabase();
    const askAll = PASSWORDS.map(async (password) => {
      const wrong = `${password}-wrong`;
      const { user } = roles.get(password)!;
      const url = change(`postgres://${user}:${wrong}@${server.host}:${server.port}/${name}`);
      return [await ask(url, wrong, "probe"), await ask(url, wrong, "status", "--json")];
    });
    for (const [probe, status] of await Promise.all(askAll)) {
      expect(probe?.status).toBe(1);
      expect([2, 7]).toContain(status?.status ?? 0);
    }
  });
});

test("`ps` shows no password", async () => {
  const stub = await openStub();
  const run = start(["status"], withUrl(stub.url));
  while (stub.connections() === 0) await Bun.sleep(10);
  const shown = execFileSync("ps", ["-o", "args=", "-p", String(run.pid)], { encoding: "utf8" });
  run.kill("SIGKILL");
  await run.done;
  await stub.close();
  expect(shown).toContain("status");
  expect(shown).not.toContain(STUB_PASSWORD);
});
