/** Peers that are no PostgreSQL server, or have stopped being one: bounded, named, and no secret lost. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { openStub, STUB_PASSWORD, type StubServer } from "../support/stub-server.ts";

const dir = migrationFolder({ "1_a.sql": "create table a ();" });

const NO_TLS = Buffer.from("N");
const SSL_REQUEST_LENGTH = 8;

/** Declines TLS, and answers the start-up message that follows. */
function afterTls(answer: (socket: Socket) => void): (socket: Socket, chunk: Buffer) => void {
  return (socket, chunk) => {
    if (chunk.length === SSL_REQUEST_LENGTH) socket.write(NO_TLS);
    else answer(socket);
  };
}

type Behaviour = NonNullable<Parameters<typeof openStub>[0]>;

const peers: readonly [which: string, behaviour: Behaviour, says: RegExp][] = [
  ["accepts and never answers", {}, /no answer within 200 ms/],
  [
    "declines TLS and never answers",
    { onData: afterTls(() => undefined) },
    /no login within 200 ms/,
  ],
  ["closes at once", { onConnect: (socket) => void socket.destroy() }, /connection|ECONNRESET/],
  [
    "resets in the middle of the login",
    { onData: afterTls((socket) => void socket.resetAndDestroy()) },
    /connection|ECONNRESET/,
  ],
  [
    "speaks HTTP",
    { onData: (socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n") },
    /not PostgreSQL's/,
  ],
  [
    "speaks first, as SSH does",
    { onConnect: (socket) => void socket.write("SSH-2.0-OpenSSH_9.6\r\n") },
    /not PostgreSQL's/,
  ],
];

const stubs = new Map<string, StubServer>();
const ups = new Map<string, Promise<Run>>();

/** All at once: `up` tries ten times, about ten seconds long, and each of them only waits. */
beforeAll(async () => {
  for (const [which, behaviour] of peers) {
    const stub = await openStub(behaviour);
    stubs.set(which, stub);
    ups.set(which, headgate(["up", "--dir", dir, "--connect-timeout", "200ms"], withUrl(stub.url)));
  }
});

afterAll(async () => {
  for (const stub of stubs.values()) await stub.close();
});

describe("a peer that", () => {
  test.each(peers)("%s: probe exits 1 within its budget", async (_which, behaviour) => {
    const stub = await openStub(behaviour);
    const run = await headgate(["probe", "--dir", dir, "--timeout", "900ms"], withUrl(stub.url));
    await stub.close();
    expect(run.status).toBe(1);
    expect(run.wallMs).toBeLessThan(5000);
    expect(run.stderr.trim().split("\n")).toHaveLength(1);
    expect(eventOf(run, "probe.not-ready")?.["reason"]).toBeString();
    expect(run.stdout + run.stderr).not.toContain(STUB_PASSWORD);
  });

  test.each(peers)(
    "%s: up exits 7 in bounded time and says why",
    async (which, _behaviour, says) => {
      const run = await ups.get(which)!;
      expect(run.status).toBe(7);
      expect(run.wallMs).toBeLessThan(40_000);
      const failed = eventOf(run, "command.failed");
      expect(failed).toMatchObject({ code: "unreachable", exit_status: 7 });
      expect(String(failed?.["reason"])).toStartWith("Cannot reach the database: ");
      expect(String(failed?.["reason"])).toMatch(says);
      expect(run.stdout + run.stderr).not.toContain(STUB_PASSWORD);
      expect(stubs.get(which)?.received().includes(STUB_PASSWORD)).toBe(false);
    },
  );
});

test("status and plan do not try again: 7 after one connection", async () => {
  for (const command of ["status", "plan"]) {
    const stub = await openStub({ onConnect: (socket) => void socket.destroy() });
    const url = `${stub.url}?sslmode=disable`;
    const run = await headgate([command, "--dir", dir], withUrl(url));
    await stub.close();
    expect(run.status).toBe(7);
    expect(stub.connections()).toBe(1);
  }
});
