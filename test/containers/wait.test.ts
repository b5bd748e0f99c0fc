/** `wait` before there is even a name: no address in DNS, no server, no schema; each comes later. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildHeadgateImages, docker, HEADGATE_IMAGE } from "../support/docker.ts";

const NETWORK = `headgate-wait-${process.pid}`;
const NAMES = ["waiter", "server"].map((name) => `${NETWORK}-${name}`);
const [WAITER = "", SERVER = ""] = NAMES;
const URL_ENV = ["--env", "DATABASE_URL=postgres://app:secret@late-db:5432/app"];

beforeAll(async () => {
  buildHeadgateImages();
  await docker("network", "create", NETWORK);
}, 120_000);
afterAll(async () => {
  await docker("rm", "--force", "--volumes", ...NAMES);
  await docker("network", "rm", NETWORK);
}, 60_000);

async function untilLogged(text: string): Promise<void> {
  while (!(await docker("logs", WAITER)).stderr.includes(text)) await Bun.sleep(200);
}

test("a name that DNS does not know yet, then a server that starts, then a schema", async () => {
  const locked = ["--read-only", "--cap-drop", "ALL", "--user", "1000660000:0", "--memory", "128m"];
  const detached = ["run", "--detach", "--network", NETWORK];
  await docker(...detached, "--name", WAITER, ...locked, ...URL_ENV, HEADGATE_IMAGE, "wait");
  await untilLogged("getaddrinfo");
  const account = ["POSTGRES_USER=app", "POSTGRES_PASSWORD=secret", "POSTGRES_DB=app"];
  const named = ["--name", SERVER, "--network-alias", "late-db"];
  await docker(
    ...[...detached, ...named, ...account.flatMap((each) => ["--env", each])],
    "headgate-test/postgres:18",
  );
  await untilLogged('"state":"fresh"');
  const up = await docker("run", "--rm", "--network", NETWORK, ...URL_ENV, HEADGATE_IMAGE, "up");
  expect([up.status, up.stderr]).toEqual([0, expect.stringContaining("Database ready")]);
  expect((await docker("wait", WAITER)).stdout.trim()).toBe("0");
}, 120_000);
