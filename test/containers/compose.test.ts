/** The printed Compose file, brought up: its migrate service ends, and only then three replicas start and become healthy. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { APP_IMAGE, buildHeadgateImages, docker, HEADGATE_IMAGE, run } from "../support/docker.ts";
import { headgate } from "../support/headgate.ts";
import { query } from "../support/query.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { findFreePort } from "../support/server-process.ts";

const PROJECT = `headgate-compose-${process.pid}`;
const ENV = {
  POSTGRES_IMAGE: "headgate-test/postgres:18",
  PGBOUNCER_IMAGE: "headgate-test/pgbouncer:1",
};
const folder = createScratchFolder("compose");
const file = join(folder, "compose.yaml");

const COMPOSE = Bun.which("docker-compose") ? ["docker-compose"] : ["docker", "compose"];
const compose = (...args: readonly string[]) =>
  run([...COMPOSE, "--project-name", PROJECT, "--file", file, ...args], ENV);

beforeAll(buildHeadgateImages, 120_000);
afterAll(async () => {
  await compose("down", "--volumes", "--timeout", "1");
}, 120_000);

/** On free ports; the test's server image has no pg_isready. */
async function write(...flags: readonly string[]): Promise<void> {
  const images = ["--image", HEADGATE_IMAGE, "--timeout", "20s", "--probe-timeout", "30s"];
  const period = ["--probe-period", "30s"];
  const { stdout } = await headgate(["manifest", "compose", ...images, ...period, ...flags]);
  const text = stdout
    .replace(":54320:", `:${await findFreePort()}:`)
    .replace(":64320:", `:${await findFreePort()}:`)
    .replace(/"pg_isready [^"]*"/, '"nc -w 2 127.0.0.1 5432 </dev/null"')
    .replace('interval: "30s"', 'interval: "1s"');
  writeFileSync(file, text);
}

async function containersOf(service: string): Promise<readonly string[]> {
  const { stdout } = await docker(
    ...["ps", "--all", "--quiet", "--filter", `label=com.docker.compose.project=${PROJECT}`],
    ...["--filter", `label=com.docker.compose.service=${service}`],
  );
  return stdout.trim().split("\n");
}

const inspect = async (id: string, field: string): Promise<string> =>
  (await docker("inspect", "--format", `{{${field}}}`, id)).stdout.trim();

test("three replicas start behind the migration and become healthy by headgate probe", async () => {
  await write();
  const up = await compose("up", "--detach");
  expect([up.status, up.stderr]).toEqual([0, expect.any(String)]);
  const [migrate = ""] = await containersOf("migrate");
  expect(await inspect(migrate, ".State.ExitCode")).toBe("0");
  const replicas = await containersOf("app");
  expect(replicas).toHaveLength(3);
  const migratedAt = await inspect(migrate, ".State.FinishedAt");
  for (const id of replicas) {
    expect((await inspect(id, ".State.StartedAt")) > migratedAt).toBe(true);
    while ((await inspect(id, ".State.Health.Status")) !== "healthy") await Bun.sleep(300);
    expect(await inspect(id, ".RestartCount")).toBe("0");
  }
  const [postgres = ""] = await containersOf("postgres");
  const [address = ""] = (await docker("port", postgres, "5432/tcp")).stdout.split("\n");
  expect(address).toStartWith("127.0.0.1:");
  const url = `postgres://app:fixture-only@${address}/app`;
  const [row] = await query(
    url,
    "select count(*)::int as n from pg_locks where locktype = 'advisory'",
  );
  expect(row?.["n"]).toBe(0);
}, 240_000);

test("with an application's image of its own it is a file that Compose takes", async () => {
  for (const deliver of ["install", "copy"]) {
    await write("--app-image", APP_IMAGE, "--deliver", deliver);
    const { status, stderr } = await compose("config", "--quiet");
    expect([status, stderr]).toEqual([0, ""]);
  }
  await write();
}, 60_000);
