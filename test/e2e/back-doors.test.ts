/** The runtime's environment variables, tried one by one, on the shipped binary and on one that was not hardened. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { harden } from "../../.ci/harden.ts";
import { BINARY } from "../support/headgate.ts";
import { buildMutant } from "../support/mutant.ts";
import { createScratchFolder } from "../support/scratch.ts";
import { findFreePort } from "../support/server-process.ts";

const folder = createScratchFolder("back-doors");
const preload = join(folder, "preload.js");
const trace = join(folder, "trace");
/** For a process that is ended long before. */
const PATIENCE_MS = 60_000;

let silent: Server;
let url: string;
let soft: { readonly binary: string; readonly remove: () => void };

beforeAll(async () => {
  writeFileSync(preload, `require("node:fs").writeFileSync(${JSON.stringify(trace)}, "");`);
  const curl = join(folder, "curl");
  writeFileSync(curl, `#!/bin/sh\nexec >${trace}\n`);
  chmodSync(curl, 0o755);
  silent = createServer().listen(0, "127.0.0.1");
  await once(silent, "listening");
  url = `postgres://u:p@127.0.0.1:${(silent.address() as { port: number }).port}/d`;
  soft = await buildMutant();
}, 120_000);

afterAll(() => {
  soft.remove();
  silent.close();
});

/** Whether the door let anything in. */
type Attempt = (binary: string) => Promise<boolean>;

interface Trial {
  readonly door: string;
  readonly attempt: Attempt;
}

async function run(
  binary: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const child = Bun.spawn([binary, ...args], { env, cwd: folder, stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all(
    [child.stdout, child.stderr].map((s) => new Response(s).text()),
  );
  await child.exited;
  return `${out}${err}`;
}

/** A file that the runtime writes, or makes somebody write. */
function writes(env: Readonly<Record<string, string>>): Attempt {
  return async (binary) => {
    rmSync(trace, { force: true });
    await run(binary, ["version"], env);
    return existsSync(trace);
  };
}

function says(
  env: Readonly<Record<string, string>>,
  args: readonly string[],
  what: RegExp,
): Attempt {
  return async (binary) => what.test(await run(binary, args, env));
}

/** While it waits for a server that says nothing. */
async function whileItWaits(
  binary: string,
  env: Readonly<Record<string, string>>,
  look: (pid: number) => Promise<boolean>,
): Promise<boolean> {
  const connected = once(silent, "connection");
  const child = spawn(binary, ["up"], { env: { DATABASE_URL: url, ...env }, stdio: "ignore" });
  const ended = once(child, "exit");
  try {
    await connected;
    return await look(child.pid ?? 0);
  } finally {
    child.kill("SIGKILL");
    await ended;
  }
}

/** A debugger listens before the program starts, so one look is enough. */
async function inspects(binary: string): Promise<boolean> {
  const port = await findFreePort();
  return whileItWaits(binary, { BUN_INSPECT: `ws://127.0.0.1:${port}/x` }, () =>
    fetch(`http://127.0.0.1:${port}/json/version`).then(
      () => true,
      () => false,
    ),
  );
}

async function reportsCrash(binary: string): Promise<boolean> {
  rmSync(trace, { force: true });
  const env = {
    PATH: folder,
    BUN_CRASH_REPORT_URL: "http://127.0.0.1:9",
    BUN_ENABLE_CRASH_REPORTING: "1",
  };
  const log = await new Promise<string>((resolve, reject) => {
    silent.once("connection", () => child.kill("SIGSEGV"));
    const child = spawn(binary, ["up"], {
      env: { DATABASE_URL: url, ...env },
      timeout: PATIENCE_MS,
    });
    let text = "";
    child.stderr.on("data", (chunk) => (text += String(chunk)));
    child.once("error", reject);
    child.once("close", () => resolve(text));
  });
  return log.includes("http://127.0.0.1:9");
}

const OPEN: readonly Trial[] = [
  { door: "BUN_OPTIONS=--preload", attempt: writes({ BUN_OPTIONS: `--preload=${preload}` }) },
  { door: "BUN_BE_BUN", attempt: says({ BUN_BE_BUN: "1" }, ["-e", "console.log(6 * 7)"], /^42$/m) },
  { door: "BUN_JSC_*", attempt: says({ BUN_JSC_dumpOptions: "1" }, ["version"], /JSC options/) },
  { door: "BUN_BYTECODE_ORDER_OUT", attempt: writes({ BUN_BYTECODE_ORDER_OUT: trace }) },
  { door: "BUN_BYTECODE_DIGEST_OUT", attempt: writes({ BUN_BYTECODE_DIGEST_OUT: trace }) },
  { door: "BUN_INSPECT", attempt: inspects },
  { door: "BUN_CRASH_REPORT_URL", attempt: reportsCrash },
];

/** Shut in every compiled file: they are tried all the same, because the next runtime may think otherwise. */
const SHUT: readonly Trial[] = [
  { door: "BUN_INSPECT_PRELOAD", attempt: writes({ BUN_INSPECT_PRELOAD: preload }) },
  { door: "NODE_OPTIONS", attempt: writes({ NODE_OPTIONS: `--require ${preload}` }) },
  { door: "NODE_COMPILE_CACHE", attempt: writes({ NODE_COMPILE_CACHE: trace }) },
  { door: "NODE_V8_COVERAGE", attempt: writes({ NODE_V8_COVERAGE: trace }) },
  { door: "NODE_REPL_EXTERNAL_MODULE", attempt: writes({ NODE_REPL_EXTERNAL_MODULE: preload }) },
  {
    door: "BUN_RUNTIME_TRANSPILER_CACHE_PATH",
    attempt: writes({ BUN_RUNTIME_TRANSPILER_CACHE_PATH: trace }),
  },
  { door: "BUN_WATCHER_TRACE", attempt: writes({ BUN_WATCHER_TRACE: trace }) },
  { door: "BUN_TRACE", attempt: writes({ BUN_TRACE: trace }) },
  { door: "JSC_*", attempt: says({ JSC_dumpOptions: "1" }, ["version"], /JSC options/) },
  {
    door: "BUN_CONFIG_VERBOSE_FETCH",
    attempt: says({ BUN_CONFIG_VERBOSE_FETCH: "curl" }, ["version"], /^(?!headgate |bundle ).+/m),
  },
];

describe("the shipped binary is shut against", () => {
  test.each([...OPEN, ...SHUT].map(({ door, attempt }) => [door, attempt] as const))(
    "%s",
    async (_door, attempt) => {
      expect(await attempt(BINARY)).toBe(false);
    },
  );
});

describe("the same runtime as it comes is open to", () => {
  test.each(OPEN.map(({ door, attempt }) => [door, attempt] as const))(
    "%s",
    async (_door, attempt) => {
      expect(await attempt(soft.binary)).toBe(true);
    },
  );
});

test("files of the working directory that the runtime would read have no say", async () => {
  const names = [".env", "bunfig.toml", "tsconfig.json", "package.json"];
  writeFileSync(join(folder, ".env"), "HEADGATE_JSON=true\n");
  writeFileSync(join(folder, "bunfig.toml"), `preload = [${JSON.stringify(preload)}]\n`);
  writeFileSync(join(folder, "tsconfig.json"), "{ not JSON");
  writeFileSync(join(folder, "package.json"), "{ not JSON");
  rmSync(trace, { force: true });
  try {
    expect(await run(BINARY, ["version"], {})).toStartWith("headgate ");
    expect(existsSync(trace)).toBe(false);
  } finally {
    for (const name of names) rmSync(join(folder, name));
  }
  expect(readdirSync(folder)).not.toContain("node_modules");
});

test("a runtime that has renamed one of its variables is not taken", () => {
  const runtime = readFileSync(process.execPath);
  for (
    let at = runtime.indexOf("BUN_BE_BUN");
    at !== -1;
    at = runtime.indexOf("BUN_BE_BUN", at + 1)
  ) {
    runtime.write("BUN_BE_NEW", at);
  }
  expect(() => harden(runtime)).toThrow("it has no BUN_BE_BUN");
});
