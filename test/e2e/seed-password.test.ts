/**
 * The admin's first password. One that headgate makes is in the file before the account is there, and only
 * while it is the account's; none is ever printed; and without one nobody can log in.
 */
import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import process from "node:process";
import { argon2Verify } from "hash-wasm";
import { openCuttingRelay } from "../support/cutting-relay.ts";
import {
  eventOf,
  headgate,
  type Run,
  type RunOptions,
  type Started,
  start,
  withUrl,
} from "../support/headgate.ts";
import { holdOpen } from "../support/lock-holder.ts";
import { buildMutant, type Mutation } from "../support/mutant.ts";
import { type Address, atAddress } from "../support/postgres-admin.ts";
import { query, tablesOf, until } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { useServers } from "../support/use-servers.ts";

const PATIENCE_MS = 60_000;
/** What a hash costs is no concern here. */
const CHEAP = { ARGON2ID_TIME_COST: "1", ARGON2ID_MEMORY_COST: "64" };
const PASSWORD = "correct horse battery staple";
const DISABLED = "!disabled";
const GENERATED = /^Hg2(?:-[a-z2-9]{5}){6}$/;

const servers = useServers();

const failed = (run: Run): string => String(eventOf(run, "command.failed")?.["reason"]);
const seedsOf = (run: Run): unknown =>
  (JSON.parse(run.stdout) as { seeds: { password: unknown } }).seeds.password;

/** A database at head in which nothing is seeded. */
async function atHead(): Promise<string> {
  const { url } = await servers.postgres.createDatabase();
  expect((await headgate(["up", "--seed", "none"], withUrl(url))).status).toBe(0);
  return url;
}

const newPath = (): string => join(createScratchFolder("password"), "password");
const filesBeside = (path: string): readonly string[] => readdirSync(dirname(path));

function seedInto(file: string, url: string, options: RunOptions = {}): Started {
  const env = { ...withUrl(url, CHEAP).env, ...options.env };
  return start(["up", "--generated-password-file", file, "--json"], { ...options, env });
}

/** Undefined: there is no account. */
async function hashOf(url: string): Promise<string | undefined> {
  const rows = await query(url, "select password_hash from email_users");
  expect(rows.length).toBeLessThan(2);
  return rows[0] && String(rows[0]["password_hash"]);
}

async function verifies(url: string, password: string): Promise<boolean> {
  const hash = await hashOf(url);
  return hash !== undefined && (await argon2Verify({ password, hash }));
}

const fits = (url: string, file: string): Promise<boolean> =>
  verifies(url, readFileSync(file, "utf8"));

/** No account, no role, no record. */
async function expectUnseeded(url: string): Promise<void> {
  expect(await query(url, "select id from email_users union all select id from roles")).toEqual([]);
  expect(await tablesOf(url)).not.toContain("public.headgate_seeds");
}

async function withMutant<T>(mutation: Mutation, use: (binary: string) => Promise<T>): Promise<T> {
  const { binary, remove } = await buildMutant(mutation);
  try {
    return await use(binary);
  } finally {
    remove();
  }
}

interface Barrier {
  /** A URL that leads through it. */
  readonly url: string;
  /** The client has said COMMIT and waits for the answer. */
  readonly reached: Promise<void>;
  /** The client loses that connection; further ones, which waited, get through. */
  lift(): void;
  /** As above, and nobody gets through any more. */
  close(): Promise<void>;
}

/**
 * Stands before the server and lets everything through until the first COMMIT, which is answered by nobody.
 *
 * @param fate `handed-on`: the server commits; `lost`: it rolls back.
 */
async function openBarrier(url: string, fate: "handed-on" | "lost"): Promise<Barrier> {
  const target: Address = servers.postgres;
  const reached = Promise.withResolvers<void>();
  const lifted = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  let isDown = false;
  const carry = async (client: Socket): Promise<void> => {
    sockets.add(client.on("error", () => client.destroy()));
    if (isDown) await lifted.promise;
    const upstream = connect(target.port, target.host);
    sockets.add(upstream.on("error", () => upstream.destroy()));
    let isMute = false;
    upstream.on("data", (chunk) => isMute || client.write(chunk));
    upstream.on("close", () => isMute || client.destroy());
    client.on("close", () => upstream.destroy());
    client.on("data", (chunk) => {
      if (isDown || !chunk.toString("latin1").endsWith("commit\0")) return upstream.write(chunk);
      isDown = true;
      isMute = true;
      if (fate === "handed-on") upstream.write(chunk);
      else upstream.destroy();
      void lifted.promise.then(() => client.destroy());
      return reached.resolve();
    });
  };
  const server = createServer((client) => void carry(client));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  return {
    url: `${atAddress(url, { host: "127.0.0.1", port })}?sslmode=disable`,
    reached: reached.promise,
    lift: () => lifted.resolve(),
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const HAS_ACCOUNT = "select from email_users";
const NO_ADVISORY_LOCK = `select where not exists (
  select from pg_locks where locktype = 'advisory'
  and database = (select oid from pg_database where datname = current_database()))`;

describe("a generated password whose COMMIT", () => {
  test("is not answered is found to be the account's", async () => {
    const url = await atHead();
    const file = newPath();
    const relay = await openCuttingRelay(servers.postgres, "commit\0");
    const run = await seedInto(file, `${atAddress(url, relay)}?sslmode=disable`).done;
    await relay.close();
    expect([relay.hasCut(), run.status, seedsOf(run)]).toEqual([true, 0, "generated"]);
    expect(eventOf(run, "admin.password-kept")?.["file"]).toBe(file);
    expect(await fits(url, file)).toBe(true);
  }, 60_000);

  test("is never sent is the account's after the next try", async () => {
    const url = await atHead();
    const file = newPath();
    const relay = await openCuttingRelay(servers.postgres, '_seeds" as seeds');
    const run = await seedInto(file, `${atAddress(url, relay)}?sslmode=disable`).done;
    await relay.close();
    expect([relay.hasCut(), run.status, seedsOf(run)]).toEqual([true, 0, "generated"]);
    expect(await fits(url, file)).toBe(true);
  }, 60_000);

  /** The first runner's COMMIT never arrives, and before it knows, a second one has seeded. */
  async function overtaken(
    files = [newPath(), newPath()],
    binary?: string,
  ): Promise<{ url: string; runs: Run[]; files: string[] }> {
    const url = await atHead();
    const [ours = "", theirs = ""] = files;
    const barrier = await openBarrier(url, "lost");
    const first = seedInto(ours, barrier.url, binary === undefined ? {} : { binary });
    await barrier.reached;
    expect(readFileSync(ours, "utf8")).toMatch(GENERATED);
    await until(url, NO_ADVISORY_LOCK, PATIENCE_MS);
    const second = await seedInto(theirs, url).done;
    barrier.lift();
    const runs = [await first.done, second];
    await barrier.close();
    return { url, runs, files };
  }

  test("is lost, while another runner seeds, is taken back", async () => {
    const { url, runs, files } = await overtaken();
    expect(runs.map(({ status }) => status)).toEqual([0, 0]);
    expect(runs.map(seedsOf)).toEqual([null, "generated"]);
    expect(files.map((file) => filesBeside(file).length)).toEqual([0, 1]);
    expect(await fits(url, files[1] ?? "")).toBe(true);
  }, 60_000);

  test("is lost makes way in a file of both for the one that counts", async () => {
    const file = newPath();
    const { url, runs } = await overtaken([file, file]);
    expect(runs.map(({ status }) => status)).toEqual([0, 0]);
    expect(filesBeside(file)).toEqual(["password"]);
    expect(await fits(url, file)).toBe(true);
  }, 60_000);

  test("is lost stays where it is, if nobody takes it back", async () => {
    const mutation = {
      file: "flow/first-password.ts",
      find: "withdraw: () => vault.withdraw(file, password)",
      replace: "withdraw: nothing",
    };
    const { url, runs, files } = await withMutant(mutation, (binary) =>
      overtaken([newPath(), newPath()], binary),
    );
    expect([runs[0]?.status, existsSync(files[0] ?? "")]).toEqual([0, true]);
    expect(await fits(url, files[0] ?? "")).toBe(false);
  }, 60_000);

  /** The server commits, and the runner is ended before it knows. */
  async function endedInCommit(signal: NodeJS.Signals, binary?: string) {
    const url = await atHead();
    const file = newPath();
    const barrier = await openBarrier(url, "handed-on");
    const runner = seedInto(file, barrier.url, binary === undefined ? {} : { binary });
    await barrier.reached;
    await until(url, HAS_ACCOUNT, PATIENCE_MS);
    runner.kill(signal);
    const run = await runner.done;
    await barrier.close();
    return { url, file, run };
  }

  test.each(["SIGKILL", "SIGTERM", "SIGINT"] as const)(
    "is done, while its runner gets %s, stays with its account",
    async (signal) => {
      const { url, file } = await endedInCommit(signal);
      expect(filesBeside(file)).toEqual(["password"]);
      expect(await fits(url, file)).toBe(true);
    },
    60_000,
  );

  test("is done stays with its account when --deadline passes before the answer", async () => {
    const url = await atHead();
    const file = newPath();
    const barrier = await openBarrier(url, "handed-on");
    const runner = start(["up", "--generated-password-file", file, "--deadline", "8s"], {
      ...withUrl(barrier.url, CHEAP),
    });
    await barrier.reached;
    await until(url, HAS_ACCOUNT, PATIENCE_MS);
    const { status } = await runner.done;
    await barrier.close();
    expect(status).toBe(6);
    expect(filesBeside(file)).toEqual(["password"]);
    expect(await fits(url, file)).toBe(true);
  }, 60_000);

  test("is lost for ever, if it is written only after COMMIT", async () => {
    const mutation = {
      file: "flow/rbac-task.ts",
      find: "onPassword: () => this.#credential?.keep(),",
      replace: "onPassword: () => undefined,",
    };
    const { url, file } = await withMutant(mutation, (binary) => endedInCommit("SIGKILL", binary));
    expect(await hashOf(url)).toStartWith("$argon2id$");
    expect(filesBeside(file)).toEqual([]);
  }, 60_000);

  test("is done stays with its account when the server is not seen again", async () => {
    const url = await atHead();
    const file = newPath();
    const barrier = await openBarrier(url, "handed-on");
    const runner = seedInto(file, barrier.url);
    await barrier.reached;
    await until(url, HAS_ACCOUNT, PATIENCE_MS);
    await barrier.close();
    const run = await runner.done;
    expect(run.status).toBe(9);
    expect(failed(run)).toContain("Cannot reach the database");
    expect(await fits(url, file)).toBe(true);
  }, 60_000);
});

describe("at COMMIT", () => {
  /** Runs as the transaction ends, behind every statement of headgate's. */
  async function atCommit(url: string, body: string): Promise<void> {
    await query(
      url,
      `create function at_commit() returns trigger language plpgsql as $$
begin ${body} return null; end $$;
create constraint trigger at_commit after insert on email_users
deferrable initially deferred for each row execute function at_commit()`,
    );
  }
  const WAIT = "perform set_config('lock_timeout', '0', true); perform pg_advisory_xact_lock(7);";
  const IS_WAITING =
    "select from pg_locks where locktype = 'advisory' and objid = 7 and not granted";

  test("the file is complete and its owner's alone, whatever the umask, and nobody is shown it", async () => {
    const url = await atHead();
    await atCommit(url, WAIT);
    const file = newPath();
    const holder = await holdOpen(url, "select pg_advisory_xact_lock(7)");
    const umask = process.umask(0);
    const runner = start(
      ["up", "--generated-password-file", file, "--log-level", "debug"],
      withUrl(url, CHEAP),
    );
    process.umask(umask);
    await until(url, IS_WAITING, PATIENCE_MS);
    const password = readFileSync(file, "utf8");
    const command = execFileSync("ps", ["-o", "args=", "-p", String(runner.pid)], {
      encoding: "utf8",
    });
    expect([password, command]).toEqual([
      expect.stringMatching(GENERATED),
      expect.stringContaining(file),
    ]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(await hashOf(url)).toBeUndefined();
    await holder.release();
    const { status, stdout, stderr } = await runner.done;
    expect([status, statSync(file).mode & 0o777]).toEqual([0, 0o600]);
    expect(filesBeside(file)).toEqual(["password"]);
    const dump = JSON.stringify(await query(url, "select database_to_xml(true, true, '') as xml"));
    expect(dump).toContain("$argon2id$");
    for (const text of [stdout, stderr, command, dump]) expect(text).not.toContain(password);
    expect(await verifies(url, password)).toBe(true);
  }, 60_000);

  test("a refusal takes rows and file with it, and says what refused", async () => {
    const url = await atHead();
    await atCommit(url, "raise exception 'not on a Sunday';");
    const file = newPath();
    const run = await headgate(["up", "--generated-password-file", file], withUrl(url, CHEAP));
    expect([run.status, run.stdout]).toEqual([9, ""]);
    expect(failed(run)).toContain("not on a Sunday");
    expect(filesBeside(file)).toEqual([]);
    await expectUnseeded(url);
    expect((await headgate(["probe"], withUrl(url))).status).toBe(0);
    await query(url, "drop trigger at_commit on email_users");
    expect((await seedInto(file, url).done).status).toBe(0);
    expect(await fits(url, file)).toBe(true);
  }, 60_000);

  test("a conflict that never ends leaves no file behind when patience does", async () => {
    const url = await atHead();
    await atCommit(url, "raise exception 'later' using errcode = '40001';");
    const file = newPath();
    const run = await headgate(
      ["up", "--generated-password-file", file, "--lock-wait", "500ms"],
      withUrl(url, CHEAP),
    );
    expect([run.status, eventOf(run, "step.retried")?.["sqlstate"]]).toEqual([9, "40001"]);
    await expectUnseeded(url);
    expect(filesBeside(file)).toEqual([]);
  }, 60_000);
});

describe("12 runners at once", () => {
  const COUNT = 12;

  test("with a file each leave one file, and it fits", async () => {
    const url = await atHead();
    const files = Array.from({ length: COUNT }, newPath);
    const runs = await Promise.all(files.map((file) => seedInto(file, url).done));
    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => 0));
    expect(files.flatMap(filesBeside)).toEqual(["password"]);
    const winner = runs.findIndex((run) => seedsOf(run) === "generated");
    const file = files[winner] ?? "";
    expect(runs.filter((run) => seedsOf(run) !== null)).toHaveLength(1);
    expect([await fits(url, file), statSync(file).mode & 0o777]).toEqual([true, 0o600]);
  }, 60_000);

  test("with one file for all leave one that fits", async () => {
    const url = await atHead();
    const file = newPath();
    const started = Array.from({ length: COUNT }, () => seedInto(file, url).done);
    const runs = await Promise.all(started);
    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => 0));
    expect(filesBeside(file)).toEqual(["password"]);
    expect([await fits(url, file), statSync(file).mode & 0o777]).toEqual([true, 0o600]);
  }, 60_000);
});

describe("a path that cannot take the password is exit 9, and nothing is seeded:", () => {
  const FOREIGN = "DB_HOST=db\n";
  const cases: readonly [what: string, make: (path: string) => void, reason: string][] = [
    ["a folder", (path) => mkdirSync(path), "it is a folder"],
    [
      "a file of somebody else's",
      (path) => writeFileSync(path, FOREIGN),
      "the file exists and holds something else",
    ],
    ["in a missing folder", () => undefined, "its folder does not exist"],
    ["a link", (path) => symlinkSync("/dev/null", path), "it is a symbolic link"],
  ];
  test.each(cases)(
    "%s",
    async (what, make, reason) => {
      const { url } = await servers.postgres.createDatabase();
      const base = newPath();
      make(base);
      const path = what === "in a missing folder" ? join(base, "password") : base;
      const before = filesBeside(base);
      const run = await headgate(["up", "--generated-password-file", path], withUrl(url, CHEAP));
      expect(run.status).toBe(9);
      expect(failed(run)).toContain(`Cannot write the generated password to ${path}: ${reason}`);
      expect(eventOf(run, "command.failed")?.["hint"]).toBeString();
      await expectUnseeded(url);
      expect(filesBeside(base)).toEqual(before);
      if (what === "a file of somebody else's") expect(readFileSync(base, "utf8")).toBe(FOREIGN);
      expect((await headgate(["probe"], withUrl(url))).status).toBe(0);
      const elsewhere = newPath();
      expect((await seedInto(elsewhere, url).done).status).toBe(0);
      expect(await fits(url, elsewhere)).toBe(true);
    },
    60_000,
  );
});

describe("without a password and without a file", () => {
  /** The next step as it was printed, taken at its word. */
  async function disabled(): Promise<{ url: string; next: readonly string[] }> {
    const { url } = await servers.postgres.createDatabase();
    const run = await headgate(["up"], withUrl(url));
    expect(run.status).toBe(0);
    expect(await hashOf(url)).toBe(DISABLED);
    const hint = String(eventOf(run, "admin.disabled")?.["hint"]);
    expect(hint).toContain("Set PLATFORM_ADMIN_PASSWORD or pass --generated-password-file FILE");
    expect(run.stdout).toContain("cannot log in");
    const next = /run headgate (.+)$/.exec(hint)?.[1]?.split(" ");
    expect(next).toEqual(["seed", "--enable-admin"]);
    return { url, next: next ?? [] };
  }

  test("the admin is disabled, and the next step with a password enables it", async () => {
    const { url, next } = await disabled();
    const run = await headgate(next, withUrl(url, { ...CHEAP, PLATFORM_ADMIN_PASSWORD: PASSWORD }));
    expect(run.status).toBe(0);
    expect(await verifies(url, PASSWORD)).toBe(true);
    expect(run.stdout + run.stderr).not.toContain(PASSWORD);
  }, 60_000);

  test("the next step with a file enables it too", async () => {
    const { url, next } = await disabled();
    const file = newPath();
    const args = [...next, "--generated-password-file", file];
    expect((await headgate(args, withUrl(url, CHEAP))).status).toBe(0);
    expect(await fits(url, file)).toBe(true);
  }, 60_000);

  test("the next step without either is refused, and a plain run leaves the admin disabled", async () => {
    const { url, next } = await disabled();
    expect((await headgate(next, withUrl(url))).status).toBe(2);
    const file = newPath();
    for (const command of ["up", "seed"]) {
      const args = [command, "--generated-password-file", file];
      const env = { ...CHEAP, PLATFORM_ADMIN_PASSWORD: PASSWORD };
      expect((await headgate(args, withUrl(url, CHEAP))).status).toBe(0);
      expect((await headgate([command], withUrl(url, env))).status).toBe(0);
    }
    expect([await hashOf(url), existsSync(file)]).toEqual([DISABLED, false]);
  }, 60_000);

  test("the next step never touches a password that is there", async () => {
    const { url, next } = await disabled();
    const env = { ...CHEAP, PLATFORM_ADMIN_PASSWORD: PASSWORD };
    expect((await headgate(next, withUrl(url, env))).status).toBe(0);
    const hash = await hashOf(url);
    const other = { ...CHEAP, PLATFORM_ADMIN_PASSWORD: `${PASSWORD} two` };
    expect((await headgate(next, withUrl(url, other))).status).toBe(0);
    const file = newPath();
    const args = [...next, "--generated-password-file", file];
    expect((await headgate(args, withUrl(url, CHEAP))).status).toBe(0);
    expect([await hashOf(url), existsSync(file)]).toEqual([hash, false]);
  }, 60_000);
});

describe("a given password", () => {
  test("may stand in a file of its own, without the line end", async () => {
    const { url } = await servers.postgres.createDatabase();
    const path = newPath();
    writeFileSync(path, `${PASSWORD}\n`);
    const generated = newPath();
    const run = await headgate(
      ["up", "--generated-password-file", generated, "--log-level", "debug"],
      withUrl(url, { ...CHEAP, PLATFORM_ADMIN_PASSWORD_FILE: path }),
    );
    expect(run.status).toBe(0);
    expect([await verifies(url, PASSWORD), existsSync(generated)]).toEqual([true, false]);
    expect(run.stdout + run.stderr).not.toContain(PASSWORD);
  }, 60_000);

  test("has a hash of the cost that the variables say", async () => {
    const { url } = await servers.postgres.createDatabase();
    const env = { PLATFORM_ADMIN_PASSWORD: PASSWORD };
    expect((await headgate(["up"], withUrl(url, env))).status).toBe(0);
    expect(await hashOf(url)).toStartWith("$argon2id$v=19$m=65536,t=3,p=1$");
    expect(await verifies(url, PASSWORD)).toBe(true);
    expect(await verifies(url, `${PASSWORD} `)).toBe(false);
  }, 60_000);

  test("that anybody would try first is refused before any row, unless insisted on", async () => {
    const url = await atHead();
    const env = { ...CHEAP, PLATFORM_ADMIN_PASSWORD: "changeme" };
    const run = await headgate(["up"], withUrl(url, env));
    expect([run.status, run.stderr.includes("changeme")]).toEqual([9, false]);
    await expectUnseeded(url);
    expect((await headgate(["up", "--allow-weak-password"], withUrl(url, env))).status).toBe(0);
    expect(await verifies(url, "changeme")).toBe(true);
  }, 60_000);
});

describe("whether the admin must change the password is said by", () => {
  const cases: readonly [flag: string, enforced: string, bootstrap: string, must: boolean][] = [
    ["", "", "", true],
    ["", "true", "true", true],
    ["", "false", "true", false],
    ["", "true", "false", false],
    ["", "false", "false", false],
    ["false", "true", "true", false],
    ["true", "false", "false", true],
    ["true", "", "", true],
  ];
  test.concurrent.each(cases)(
    "flag %p, PASSWORD_CHANGE_ENFORCEMENT_ENABLED %p, ADMIN_REQUIRE_PASSWORD_CHANGE_ON_BOOTSTRAP %p: %p",
    async (flag, enforced, bootstrap, must) => {
      const { url } = await servers.postgres.createDatabase();
      const env = {
        ...CHEAP,
        PLATFORM_ADMIN_PASSWORD: PASSWORD,
        PASSWORD_CHANGE_ENFORCEMENT_ENABLED: enforced,
        ADMIN_REQUIRE_PASSWORD_CHANGE_ON_BOOTSTRAP: bootstrap,
      };
      const args = flag === "" ? ["up"] : ["up", "--require-password-change", flag];
      expect((await headgate(args, withUrl(url, env))).status).toBe(0);
      const rows = await query(url, "select password_change_required as must from email_users");
      expect(rows).toEqual([{ must }]);
    },
    60_000,
  );
});
