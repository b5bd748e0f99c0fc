/** `wait`: whatever is not there yet comes up behind its back, and it says why it waits until then. */
import { describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { BUILD, holdSnapshot, outsideFolder, untilBuilding } from "../support/build.ts";
import { migrationFolder } from "../support/folder.ts";
import { type Event, headgate, start, withUrl } from "../support/headgate.ts";
import { atAddress } from "../support/postgres-admin.ts";
import { asRole, query } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { openStub } from "../support/stub-server.ts";
import { useServers } from "../support/use-servers.ts";
import { startWaiting } from "../support/waiting.ts";

const servers = useServers({ poolSize: 2 });

const dir = migrationFolder({ "1_a.sql": "create table a ();", "2_b.sql": "select 1" });
const edited = migrationFolder({ "1_a.sql": "create table a (n int);", "2_b.sql": "select 1" });
const WAIT = ["--dir", dir, "--deadline", "60s"];

const up = async (url: string): Promise<void> => {
  expect((await headgate(["up", "--dir", dir], withUrl(url))).status).toBe(0);
};
const reasons = (events: readonly Event[]): readonly string[] =>
  events.filter(({ event }) => event === "schema.awaited").map((event) => String(event["reason"]));

describe("what is not there yet", () => {
  test("the schema: another's up brings it, directly and through a pooler", async () => {
    const database = await servers.postgres.createDatabase();
    const waits = [database.url, servers.pool.urlOf(database)].map((url) =>
      startWaiting([...WAIT, "--json"], withUrl(url)),
    );
    await Promise.all(waits.map((wait) => wait.says(/fresh/)));
    await up(database.url);
    for (const wait of waits) {
      const { status, stdout, events } = await wait.done;
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ v: 1, command: "wait", ready: true, head: 2 });
      expect(events.at(-1)).toMatchObject({ event: "database.ready", head: 2 });
      expect(reasons(events)).toEqual([...new Set(reasons(events))]);
    }
  });

  test("the server: it starts after the wait, directly and behind a pooler", async () => {
    const late = await servers.substrate.postgres();
    const pool = await servers.substrate.pgbouncer(late, { settings: { server_login_retry: "1" } });
    const database = await late.createDatabase();
    await up(database.url);
    await late.kill();
    const direct = startWaiting(WAIT, withUrl(database.url));
    const pooled = startWaiting(
      WAIT,
      withUrl(pool.urlOf(database), { HEADGATE_CONNECT_TIMEOUT: "1s" }),
    );
    await Promise.all([direct.says(/ECONNREFUSED/), pooled.says(/Cannot reach/)]);
    await late.restart();
    expect([(await direct.done).status, (await pooled.done).status]).toEqual([0, 0]);
    await pool.stop();
    await late.stop();
  });

  test("a server that starts (57P03), one that is full (53300), a proxy that hangs up", async () => {
    const { url } = await servers.postgres.createDatabase();
    await up(url);
    const fatal = (code: string, text: string) => (socket: Socket) =>
      socket.end(errorResponse(code, text));
    const scenes = [
      (socket: Socket) => socket.destroy(),
      fatal("57P03", "the database system is starting up"),
      fatal("53300", "sorry, too many clients already"),
    ];
    let at = 0;
    const stub = await openStub({
      onConnect: (socket) => {
        const scene = scenes[at];
        at += 1;
        if (scene) socket.once("data", () => scene(socket));
        else relay(socket, servers.postgres);
      },
    });
    const address = atAddress(url, { host: "127.0.0.1", port: stub.port });
    const { status, events } = await startWaiting(WAIT, withUrl(`${address}?sslmode=disable`)).done;
    await stub.close();
    expect(status).toBe(0);
    expect(reasons(events)).toEqual([
      expect.stringContaining("connection lost"),
      expect.stringContaining("SQLSTATE 57P03"),
      expect.stringContaining("SQLSTATE 53300"),
    ]);
  });

  test("the password and a free connection of the role", async () => {
    const { url } = await servers.postgres.createDatabase();
    await up(url);
    const role = await servers.postgres.createRole();
    await query(
      url,
      `grant usage on schema public to ${role.user}; grant select on headgate_migrations to ${role.user};
alter role ${role.user} password 'not yet rotated' connection limit 0`,
    );
    const wait = startWaiting(WAIT, withUrl(asRole(url, role)));
    await wait.says(/SQLSTATE 28P01/);
    await query(url, `alter role ${role.user} password '${role.password}'`);
    await wait.says(/SQLSTATE 53300/);
    await query(url, `alter role ${role.user} connection limit -1`);
    expect((await wait.done).status).toBe(0);
  });

  test("the end of a migration that somebody builds", async () => {
    const { url } = await servers.postgres.createDatabase();
    const args = ["--dir", outsideFolder(BUILD)];
    const held = await holdSnapshot(url);
    const runner = start(["up", ...args], withUrl(url));
    await untilBuilding(url);
    const wait = startWaiting([...args, "--deadline", "60s"], withUrl(url));
    await wait.says(/running: migration 2/);
    await held.release();
    expect((await runner.done).status).toBe(0);
    expect((await wait.done).status).toBe(0);
  });

  test("the seeds, under --require-seeds alone", async () => {
    const { url } = await servers.postgres.createDatabase();
    const seeds = ["--seeds", migrationFolder({ "a.sql": "select 1" })];
    await up(url);
    expect((await headgate(["wait", ...WAIT, ...seeds], withUrl(url))).status).toBe(0);
    const wait = startWaiting([...WAIT, ...seeds, "--require-seeds"], withUrl(url));
    await wait.says(/seeds-stale/);
    expect((await headgate(["seed", "--dir", dir, ...seeds], withUrl(url))).status).toBe(0);
    expect((await wait.done).status).toBe(0);
  });
});

describe("what waiting does not cure ends it at once", () => {
  test("an interrupted migration with 4, drift with 5", async () => {
    const { url } = await servers.postgres.createDatabase();
    await up(url);
    const file = join(createScratchFolder("termination"), "log");
    const wait = (folder: string) =>
      headgate(["wait", "--dir", folder, "--termination-log", file], withUrl(url));
    const drifted = await wait(edited);
    expect([drifted.status, drifted.events.at(-1)?.["code"]]).toEqual([5, "drifted"]);
    expect(await Bun.file(file).text()).toEndWith("exit status 5 (drifted)\n");
    await query(url, "update headgate_migrations set state = 'failed' where version = 2");
    const failed = await wait(dir);
    expect([failed.status, failed.events.at(-1)?.["code"]]).toEqual([4, "interrupted"]);
    expect(await Bun.file(file).text()).toEndWith("exit status 4 (interrupted)\n");
  });

  test("settings that cannot be used with 2, before any connection", async () => {
    const runs = [
      await headgate(["wait"]),
      await headgate(["wait"], withUrl("mysql://nobody@localhost/x")),
      await headgate(["wait", "--deadline", "soon"], withUrl("postgres://a@127.0.0.1:1/x")),
    ];
    expect(runs.map(({ status }) => status)).toEqual([2, 2, 2]);
  });
});

describe("--deadline", () => {
  test("ends it with 6 and the last reason", async () => {
    const { url } = await servers.postgres.createDatabase();
    const file = join(createScratchFolder("termination"), "log");
    const args = ["wait", "--dir", dir, "--deadline", "700ms", "--termination-log", file];
    const run = await headgate(args, withUrl(url));
    expect(run.status).toBe(6);
    expect(await Bun.file(file).text()).toContain("fresh: nothing is applied yet");
    expect(run.events.at(-1)).toMatchObject({ event: "command.failed", code: "deadline-passed" });
    expect(String(run.events.at(-1)?.["reason"])).toContain("fresh: nothing is applied yet");
  });

  test("ends a look that nobody answers", async () => {
    const stub = await openStub();
    const args = ["wait", "--dir", dir, "--deadline", "500ms", "--connect-timeout", "10m"];
    const run = await headgate(args, withUrl(stub.url));
    await stub.close();
    expect(run.status).toBe(6);
    expect(String(run.events.at(-1)?.["reason"])).toContain("had no answer");
  });
});

describe("--stay", () => {
  test("sleeps behind the ready line, past its deadline, until SIGTERM ends it with 0", async () => {
    const { url } = await servers.postgres.createDatabase();
    await up(url);
    const wait = startWaiting(["--dir", dir, "--deadline", "1s", "--stay"], withUrl(url));
    await wait.says(/Database ready/);
    const first = await Promise.race([wait.done, Bun.sleep(1500).then(() => "asleep")]);
    expect(first).toBe("asleep");
    const sessions = await query(
      url,
      "select from pg_stat_activity where datname = current_database() and application_name = 'headgate'",
    );
    expect(sessions).toEqual([]);
    wait.kill("SIGTERM");
    expect(await wait.done).toMatchObject({ status: 0, stdout: "at head: version 2\n" });
  });

  test("is still ended by SIGTERM while it waits, with 143", async () => {
    const { url } = await servers.postgres.createDatabase();
    const wait = startWaiting([...WAIT, "--stay"], withUrl(url));
    await wait.says(/fresh/);
    wait.kill("SIGTERM");
    expect((await wait.done).status).toBe(143);
  });
});

/** Protocol section "ErrorResponse". */
function errorResponse(code: string, text: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${code}\0M${text}\0\0`);
  const head = Buffer.alloc(5);
  head.write("E");
  head.writeUInt32BE(fields.length + 4, 1);
  return Buffer.concat([head, fields]);
}

function relay(client: Socket, { host, port }: { host: string; port: number }): void {
  const upstream = connect(port, host);
  client.removeAllListeners("data");
  client.pipe(upstream).pipe(client);
  upstream.on("error", () => client.destroy());
}
