/**
 * Encryption and passwords on the wire. Local only, because `pg_hba.conf` and certificates are the
 * server's files: elsewhere these tests are reported as skipped. A migration itself records how it got there.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { migrationFolder } from "../support/folder.ts";
import { eventOf, headgate, type Run, withUrl } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { openStub, STUB_PASSWORD } from "../support/stub-server.ts";
import { openSubstrate, type PostgresServer, type Substrate } from "../support/substrate.ts";
import { createTlsFixture, type TlsFixture } from "../support/tls.ts";

const dir = migrationFolder({
  "1_wire.sql": `create table wire as select coalesce(ssl, false) as tls, client_dn as dn
from pg_stat_ssl where pid = pg_backend_pid();`,
});
const PASSWORD = "pa55-of-the-tls-tests";
const ROLES = `create role scram_user login superuser password '${PASSWORD}';
create role tls_user login superuser password '${PASSWORD}';
create role clear_user login superuser password '${PASSWORD}';
set password_encryption = 'md5'; create role md5_user login superuser password '${PASSWORD}'`;
const HBA = [
  "hostssl all app all cert",
  "hostnossl all tls_user all reject",
  "host all clear_user all password",
  "host all md5_user all md5",
];

const isLocal = (process.env["TEST_SUBSTRATE"] ?? "local") === "local";
let substrate: Substrate;
let fixture: TlsFixture;
let server: PostgresServer;
let plainServer: PostgresServer;

beforeAll(async () => {
  if (!isLocal) return;
  fixture = createTlsFixture();
  substrate = await openSubstrate();
  const settings = { listen_addresses: "127.0.0.1,127.0.0.2" };
  server = await substrate.postgres({ tls: fixture.server, hba: HBA, settings });
  plainServer = await substrate.postgres();
  await query((await server.createDatabase()).url, ROLES);
  await query((await plainServer.createDatabase()).url, ROLES);
}, 60_000);

afterAll(async () => {
  await substrate?.close();
  fixture?.cleanup();
}, 60_000);

interface Wire {
  readonly user?: string;
  readonly host?: string;
  readonly params?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly server?: PostgresServer;
}

/** Applies the one migration, or asks for the state, which tries only once. */
async function run(command: "up" | "status", wire: Wire): Promise<{ run: Run; url: string }> {
  const target = wire.server ?? server;
  const { name, url } = await target.createDatabase();
  const place = `${wire.host ?? "127.0.0.1"}:${target.port}/${name}`;
  const query = new URLSearchParams(wire.params);
  const address = `postgres://${wire.user ?? "scram_user"}:${PASSWORD}@${place}?${query}`;
  // The runtime's own variable, which would trust everybody, must have no say.
  const env = { NODE_TLS_REJECT_UNAUTHORIZED: "0" };
  const done = await headgate([command, "--dir", dir, ...(wire.args ?? [])], withUrl(address, env));
  expect(done.stdout + done.stderr).not.toContain(PASSWORD);
  return { run: done, url };
}

async function wireOf(wire: Wire): Promise<unknown> {
  const { run: up, url } = await run("up", wire);
  expect(up.status).toBe(0);
  return (await query(url, "select tls, dn from wire"))[0];
}

async function refusalOf(wire: Wire): Promise<string> {
  const { run: status } = await run("status", wire);
  expect(status.status).toBe(7);
  const failed = eventOf(status, "command.failed");
  return `${String(failed?.["reason"])} ${String(failed?.["hint"])}`;
}

const ca = (): string => fixture.server.ca;
const otherCa = (): string => fixture.otherCa;

type Row = readonly [
  sslmode: string,
  root: "no CA" | "the right CA" | "another CA",
  host: string,
  then: "tls" | "plain" | RegExp,
];
const rows: readonly Row[] = [
  ["disable", "no CA", "127.0.0.1", "plain"],
  ["allow", "no CA", "127.0.0.1", "tls"],
  ["prefer", "no CA", "127.0.0.1", "tls"],
  ["prefer", "another CA", "127.0.0.1", "tls"],
  ["require", "no CA", "127.0.0.1", "tls"],
  ["require", "the right CA", "127.0.0.2", "tls"],
  ["require", "another CA", "127.0.0.1", /certificate/i],
  ["verify-ca", "the right CA", "127.0.0.1", "tls"],
  ["verify-ca", "the right CA", "127.0.0.2", "tls"],
  ["verify-ca", "another CA", "127.0.0.1", /certificate/i],
  ["verify-full", "the right CA", "localhost", "tls"],
  ["verify-full", "the right CA", "127.0.0.1", "tls"],
  ["verify-full", "the right CA", "127.0.0.2", /127\.0\.0\.2/],
  ["verify-full", "another CA", "localhost", /certificate/i],
];

describe.if(isLocal)("sslmode", () => {
  test.each(rows)("%s with %s to %s: %s", async (sslmode, root, host, then) => {
    const file = root === "the right CA" ? ca() : otherCa();
    const params = root === "no CA" ? { sslmode } : { sslmode, sslrootcert: file };
    const wire = { host, params };
    if (then instanceof RegExp) expect(await refusalOf(wire)).toMatch(then);
    else expect(await wireOf(wire)).toMatchObject({ tls: then === "tls" });
  });

  test.each([
    ["disable", false],
    ["prefer", false],
  ])("%s on a server without TLS is plain", async (sslmode, tls) => {
    const wire = { server: plainServer, params: { sslmode } };
    expect(await wireOf(wire)).toMatchObject({ tls });
  });

  test("require on a server without TLS is refused", async () => {
    const wire = { server: plainServer, params: { sslmode: "require" } };
    expect(await refusalOf(wire)).toContain("does not offer TLS");
  });

  test("verify-full without a root certificate is a setting to correct", async () => {
    const { run: status } = await run("status", { params: { sslmode: "verify-full" } });
    expect(status.status).toBe(2);
    expect(status.stderr).toContain("sslrootcert=system");
  });

  test("where pg_hba.conf demands TLS, prefer has it and disable is told", async () => {
    const user = "tls_user";
    expect(await wireOf({ user })).toMatchObject({ tls: true });
    expect(await refusalOf({ user, params: { sslmode: "disable" } })).toContain("sslmode");
  });
});

describe.if(isLocal)("a client certificate", () => {
  const certificate = (): Record<string, string> => ({
    sslmode: "verify-full",
    sslrootcert: ca(),
    sslcert: fixture.client.cert,
    sslkey: fixture.client.key,
  });

  test("logs in where pg_hba.conf wants one", async () => {
    const wire = { user: "app", params: certificate() };
    expect(await wireOf(wire)).toEqual({ tls: true, dn: "/CN=app" });
  });

  test("that is missing is refused, and one without its key is a setting to correct", async () => {
    const none = { user: "app", params: { sslmode: "require" } };
    expect(await refusalOf(none)).toContain("certificate");
    const { run: keyless } = await run("status", {
      params: { ...certificate(), sslkey: "/nowhere" },
    });
    expect(keyless.status).toBe(2);
  });
});

describe.if(isLocal)("md5", () => {
  test.each([["disable"], ["require"]])("logs in with sslmode=%s", async (sslmode) => {
    const wire = { user: "md5_user", params: { sslmode } };
    expect(await wireOf(wire)).toMatchObject({ tls: sslmode === "require" });
  });
});

describe.if(isLocal)("a server that wants the password in cleartext", () => {
  const user = "clear_user";
  const off = { sslmode: "disable" };

  test("does not get it without TLS, and the hint names the way out", async () => {
    const refusal = await refusalOf({ user, params: off });
    expect(refusal).toContain("cleartext password");
    expect(refusal).toContain("--allow-cleartext");
  });

  test("gets it over TLS, or with --allow-cleartext", async () => {
    expect(await wireOf({ user, params: { sslmode: "require" } })).toMatchObject({ tls: true });
    const args = ["--allow-cleartext"];
    expect(await wireOf({ user, params: off, args })).toMatchObject({ tls: false });
  });
});

test("the password leaves for a server in cleartext only with --allow-cleartext", async () => {
  const request = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);
  for (const isAllowed of [false, true]) {
    const stub = await openStub({
      onData: (socket, chunk) => void socket.write(chunk.length === 8 ? "N" : request),
    });
    for (const command of ["probe", "status"]) {
      const args = ["--connect-timeout", "500ms", ...(isAllowed ? ["--allow-cleartext"] : [])];
      const done = await headgate([command, "--dir", dir, ...args], withUrl(stub.url));
      expect(done.status).toBe(command === "probe" ? 1 : 7);
      expect(done.stdout + done.stderr).not.toContain(STUB_PASSWORD);
    }
    await stub.close();
    expect(stub.connections()).toBeGreaterThan(0);
    expect(stub.received().includes(STUB_PASSWORD)).toBe(isAllowed);
  }
});
