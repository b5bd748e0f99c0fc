/**
 * The substrate "containers": every server is a container.
 *
 * (1) Ports of the host are fixed, not drawn by the engine: an engine draws a new one at each restart.
 * (2) testcontainers' own clean-up container is off, because it would have to be pulled. The names of what we start
 *     go to a scratch folder instead; whatever is left there is removed when this process ends.
 */
import { appendFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import type { GenericContainer, StartedTestContainer } from "testcontainers";
import { renderPgbouncerIni, renderUserlist } from "./pgbouncer-config.ts";
import {
  type Address,
  askPgbouncer,
  atAddress,
  createDatabase,
  createRole,
  readServerVersion,
  SUPERUSER,
} from "./postgres-admin.ts";
import { createScratchFolder } from "./scratch.ts";
import { findFreePort } from "./server-process.ts";
import type {
  Pgbouncer,
  PgbouncerOptions,
  PostgresServer,
  RestartMode,
  Server,
  ServerOptions,
  Substrate,
} from "./substrate.ts";

const HOST = "127.0.0.1";
const INNER_PORT = 5432;
const READY_TIMEOUT_MS = 60_000;
const LOG_TAIL_LINES = 30;
const LOG_TAIL_CHARS = 8_000;
const POSTGRES_FILES = "/etc/headgate";
const SHUTDOWN_SIGNAL = { fast: "SIGINT", immediate: "SIGQUIT" } as const;

type Testcontainers = typeof import("testcontainers");
type Engine = Awaited<ReturnType<Testcontainers["getContainerRuntimeClient"]>>;
type Handle = ReturnType<Engine["container"]["getById"]>;
type Network = Awaited<ReturnType<InstanceType<Testcontainers["Network"]>["start"]>>;

interface Context {
  readonly tc: Testcontainers;
  readonly engine: Engine;
  readonly network: Network;
  /** Where the names of what we start are written down. */
  readonly ledger: string;
}

/**
 * @throws {Error} when no container engine answers.
 */
export async function openContainerSubstrate(): Promise<Substrate> {
  const context = await openContext();
  const servers: Server[] = [];
  const aliases = new Map<PostgresServer, string>();
  return {
    kind: "containers",
    async postgres(options = {}) {
      const alias = `postgres-${servers.length + 1}`;
      const server = await startPostgres(context, alias, options);
      servers.push(server);
      aliases.set(server, alias);
      return server;
    },
    async pgbouncer(target, options = {}) {
      const alias = aliases.get(target);
      if (alias === undefined)
        throw new Error("Cannot pool this server: it is none of this substrate's");
      const pooler = await startPgbouncer(context, alias, options);
      servers.push(pooler);
      return pooler;
    },
    async close() {
      await Promise.all(servers.splice(0).map((server) => server.stop()));
      await context.network.stop();
      rmSync(context.ledger, { recursive: true, force: true });
    },
  };
}

async function openContext(): Promise<Context> {
  process.env["TESTCONTAINERS_RYUK_DISABLED"] = "true";
  const tc = await import("testcontainers");
  const engine = await tc.getContainerRuntimeClient().catch((cause: unknown) => {
    const hint =
      'start one, run the command through "test/support/with-engine.sh", or set TEST_SUBSTRATE=local';
    throw new Error(`No container engine answers: ${hint}`, { cause });
  });
  const network = await new tc.Network().start();
  const ledger = createScratchFolder("containers");
  writeFileSync(join(ledger, "network"), `${network.getName()}\n`);
  return { tc, engine, network, ledger };
}

async function startPostgres(
  context: Context,
  alias: string,
  options: ServerOptions,
): Promise<PostgresServer> {
  if (options.version !== undefined) {
    throw new Error("A container's PostgreSQL version is its image's: set TEST_POSTGRES_IMAGE");
  }
  const address = { host: HOST, port: await findFreePort() };
  const image = await newContainer(context, "TEST_POSTGRES_IMAGE", "headgate-test/postgres:18");
  const { settings, contents } = postgresFiles(options);
  image
    .withExposedPorts({ container: INNER_PORT, host: address.port })
    .withNetworkAliases(alias)
    .withEnvironment({
      POSTGRES_USER: SUPERUSER.user,
      POSTGRES_PASSWORD: SUPERUSER.password,
      POSTGRES_DB: "postgres",
    })
    .withCommand([
      "postgres",
      ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
    ])
    .withWaitStrategy(context.tc.Wait.forLogMessage(/ready to accept connections/));
  if (contents.length > 0) {
    const script = `chown -R postgres ${POSTGRES_FILES} && exec docker-entrypoint.sh "$@"`;
    image.withCopyContentToContainer([...contents]).withEntrypoint(["sh", "-c", script, "sh"]);
  }
  const started = await startContainer(context, image);
  const handle = context.engine.container.getById(started.getId());
  const version = await waitUntilAnswers(handle, address).catch(async (error: unknown) => {
    await handle.remove({ force: true, v: true });
    throw error;
  });
  return postgresOf(handle, address, version);
}

interface PostgresFiles {
  readonly settings: Readonly<Record<string, string>>;
  readonly contents: readonly {
    readonly content: string;
    readonly target: string;
    readonly mode: number;
  }[];
}

function postgresFiles({ settings, tls, hba }: ServerOptions): PostgresFiles {
  const files: Record<string, string> = {};
  const own: Record<string, string> = { fsync: "off", max_connections: "150" };
  const install = (setting: string, name: string, content: string) => {
    own[setting] = `${POSTGRES_FILES}/${name}`;
    files[name] = content;
  };
  if (hba !== undefined) {
    const usual = ["local all all trust", "host all all all scram-sha-256"];
    install("hba_file", "pg_hba.conf", `${[...hba, ...usual].join("\n")}\n`);
  }
  if (tls !== undefined) {
    own["ssl"] = "on";
    install("ssl_ca_file", "ca.pem", readFileSync(tls.ca, "utf8"));
    install("ssl_cert_file", "server.pem", readFileSync(tls.cert, "utf8"));
    install("ssl_key_file", "server.key", readFileSync(tls.key, "utf8"));
  }
  const contents = Object.entries(files).map(([name, content]) => {
    return { content, target: `${POSTGRES_FILES}/${name}`, mode: 0o600 };
  });
  return { settings: { ...own, ...settings }, contents };
}

function postgresOf(handle: Handle, address: Address, version: string): PostgresServer {
  const shutDown = async (mode: RestartMode) => {
    await unfreeze(handle);
    if (!(await isRunning(handle))) return;
    await handle.kill({ signal: SHUTDOWN_SIGNAL[mode] });
    await handle.wait();
  };
  return {
    ...address,
    ...SUPERUSER,
    version,
    createDatabase: () => createDatabase(address),
    createRole: (options) => createRole(address, options),
    async restart(mode = "fast") {
      await shutDown(mode);
      await handle.start();
      await waitUntilAnswers(handle, address);
    },
    ...controlsOf(handle),
    async stop() {
      if (!(await exists(handle))) return;
      await shutDown("fast");
      await handle.remove({ force: true, v: true });
    },
  };
}

/** Our own wait: the official image's server answers, restarts and answers again, and a log counts no restarts. */
async function waitUntilAnswers(handle: Handle, address: Address): Promise<string> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      return await readServerVersion(address);
    } catch (cause) {
      if (!(await isRunning(handle)) || performance.now() > deadlineMs) {
        const log = await readLogTail(handle);
        throw new Error(`Cannot start PostgreSQL in its container:\n${log}`, { cause });
      }
      await sleep(50);
    }
  }
}

/** The engine puts a header of eight bytes, the first at most 2, before each piece of output. */
async function readLogTail(handle: Handle): Promise<string> {
  const frames = await handle.logs({ stdout: true, stderr: true, tail: LOG_TAIL_LINES });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the header is made of them
  return frames.toString("latin1").replace(/[\0-\x02]\0\0\0[\s\S]{4}/g, "");
}

async function startPgbouncer(
  context: Context,
  alias: string,
  options: PgbouncerOptions,
): Promise<Pgbouncer> {
  const address = { host: HOST, port: await findFreePort() };
  const image = await newContainer(context, "TEST_PGBOUNCER_IMAGE", "headgate-test/pgbouncer:1");
  const userlist = "/etc/pgbouncer/userlist.txt";
  const ini = renderPgbouncerIni({
    target: { host: alias, port: INNER_PORT },
    listen: { host: "0.0.0.0", port: INNER_PORT },
    userlist,
    options,
  });
  const users = renderUserlist([SUPERUSER, ...(options.users ?? [])]);
  image
    .withExposedPorts({ container: INNER_PORT, host: address.port })
    .withCopyContentToContainer([
      { content: ini, target: "/etc/pgbouncer/pgbouncer.ini", mode: 0o644 },
      { content: users, target: userlist, mode: 0o644 },
    ])
    .withWaitStrategy(context.tc.Wait.forLogMessage(/process up/));
  const started = await startContainer(context, image);
  const { output } = await started.exec(["pgbouncer", "--version"]);
  const handle = context.engine.container.getById(started.getId());
  const controls = controlsOf(handle);
  return {
    ...address,
    version: /\d+(?:\.\d+)+/.exec(output)?.[0] ?? "unknown",
    urlOf: (database) => atAddress(database.url, address),
    admin: (command) => askPgbouncer(address, command),
    async shutDownSafely() {
      const ended = handle.wait();
      await handle.kill({ signal: "SIGINT" });
      await ended;
    },
    async restart() {
      await controls.kill();
      await handle.start();
      await waitUntilListens(address);
    },
    ...controls,
  };
}

async function waitUntilListens(address: Address): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    try {
      return await askPgbouncer(address, "show version");
    } catch (cause) {
      if (performance.now() > deadlineMs) throw new Error("PgBouncer is not back", { cause });
      await sleep(50);
    }
  }
}

/** An image that nobody built is named as such; any other image may be pulled. */
async function newContainer(
  context: Context,
  variable: string,
  fallback: string,
): Promise<GenericContainer> {
  const { tc, engine, network } = context;
  const name = process.env[variable] ?? fallback;
  const isOurs = name.startsWith("headgate-test/");
  if (isOurs && !(await engine.image.exists(tc.ImageName.fromString(name)))) {
    throw new Error(`Image ${name} is missing: run "bun test/support/build-images.ts"`);
  }
  return new tc.GenericContainer(name).withNetwork(network);
}

async function startContainer(
  context: Context,
  image: GenericContainer,
): Promise<StartedTestContainer> {
  let log = "";
  image.withLogConsumer((stream) => {
    stream.on("data", (chunk) => {
      log = (log + String(chunk)).slice(-LOG_TAIL_CHARS);
    });
  });
  try {
    const started = await image.start();
    appendFileSync(join(context.ledger, "containers"), `${started.getId()}\n`);
    return started;
  } catch (cause) {
    throw new Error(`Cannot start the container: ${String(cause)}\n${log}`, { cause });
  }
}

function controlsOf(handle: Handle): Pick<Server, "stop" | "kill" | "pause" | "resume"> {
  return {
    async stop() {
      if (await exists(handle)) await handle.remove({ force: true, v: true });
    },
    async kill() {
      if (!(await isRunning(handle))) return;
      const ended = handle.wait();
      await handle.kill();
      await unfreeze(handle); // a frozen process dies only when it thaws
      await ended;
    },
    async pause() {
      await handle.pause();
    },
    resume: () => unfreeze(handle),
  };
}

async function unfreeze(handle: Handle): Promise<void> {
  const { State } = await handle.inspect();
  if (State.Paused) await handle.unpause().catch(() => undefined); // it may have died at this moment
}

async function isRunning(handle: Handle): Promise<boolean> {
  return (await handle.inspect()).State.Running;
}

async function exists(handle: Handle): Promise<boolean> {
  return handle.inspect().then(
    () => true,
    () => false,
  );
}
