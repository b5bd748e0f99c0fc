/** Starts a server program and sends signals to it and to the children it forked. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { SERVER_IDENTITY, writeServerFile } from "./scratch.ts";

export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Its scratch folder: working directory, and the place of its `pid` file. */
  readonly folder: string;
}

export interface ServerProcess {
  /** Resolves when the program has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<void>;
  /** To the program alone, as a shutdown request is. */
  signal(name: NodeJS.Signals): void;
  /** To the program and its children: a backend left running would answer for a paused server. */
  signalTree(name: NodeJS.Signals): void;
  /** SIGKILL to the program and its children; resolves when none of them runs any more. */
  killTree(): Promise<void>;
}

const LOG_TAIL_CHARS = 8_000;
const START_TIMEOUT_MS = 30_000;

/**
 * Starts the program and resolves when its output matches `ready`.
 *
 * @throws {Error} with the end of its output, when it ends first or is not ready in time.
 */
export async function startProcess(program: Program, ready: RegExp): Promise<ServerProcess> {
  const child = spawn(program.command, [...program.args], {
    ...SERVER_IDENTITY,
    cwd: program.folder,
    env: program.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const handle = handleOf(child);
  try {
    await outputMatches(child, ready, program.command);
  } catch (error) {
    await handle.killTree();
    throw error;
  }
  writeServerFile(join(program.folder, "pid"), `${child.pid}\n`);
  return handle;
}

function outputMatches(child: ChildProcess, ready: RegExp, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = "";
    const fail = (reason: string) => {
      clearTimeout(timer);
      reject(new Error(`Cannot start ${command}: ${reason}\n${log}`));
    };
    const timer = setTimeout(
      () => fail(`not ready after ${START_TIMEOUT_MS} ms`),
      START_TIMEOUT_MS,
    );
    const take = (chunk: Buffer) => {
      log = (log + chunk.toString()).slice(-LOG_TAIL_CHARS);
      if (!ready.test(log)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout?.on("data", take); // stays attached: a server blocks on a full pipe
    child.stderr?.on("data", take);
    child.once("error", (error) => fail(error.message));
    child.once("close", (code, signal) => fail(`it ended with ${signal ?? `status ${code}`}`));
  });
}

function handleOf(child: ChildProcess): ServerProcess {
  const { pid } = child;
  let running = pid !== undefined;
  const exited = new Promise<void>((resolve) => {
    const end = () => {
      running = false;
      resolve();
    };
    child.once("exit", end);
    child.once("error", end);
  });
  const signalTree = (name: NodeJS.Signals): readonly number[] => {
    if (pid === undefined || !running) return [];
    if (name !== "SIGCONT") sendSignal(pid, "SIGSTOP"); // no fork between the listing and the signal
    const tree = [pid, ...childrenOf(pid)];
    for (const each of tree) sendSignal(each, name);
    return tree;
  };
  return {
    exited,
    signal(name) {
      if (pid !== undefined && running) sendSignal(pid, name);
    },
    signalTree,
    async killTree() {
      const tree = signalTree("SIGKILL");
      await exited;
      await processesEnd(tree);
    },
  };
}

function sendSignal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

interface ProcessRow {
  readonly pid: number;
  readonly ppid: number;
  readonly isZombie: boolean;
}

/** From /proc where there is one: small images have no `ps`. */
function listProcesses(): readonly ProcessRow[] {
  return existsSync("/proc/self/stat") ? listFromProc() : listFromPs();
}

function listFromProc(): readonly ProcessRow[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readStat(name);
      // The name in parentheses may hold anything: what counts stands behind the last one.
      const [state, ppid] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return stat === ""
        ? []
        : [{ pid: Number(name), ppid: Number(ppid), isZombie: state === "Z" }];
    });
}

/** Empty for a process that has just ended. */
function readStat(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return "";
  }
}

function listFromPs(): readonly ProcessRow[] {
  const columns = ["pid=", "ppid=", "stat="].flatMap((column) => ["-o", column]);
  const rows = execFileSync("ps", ["-A", ...columns], { encoding: "utf8" })
    .trim()
    .split("\n");
  return rows.map((row) => {
    const [pid, ppid, stat = ""] = row.trim().split(/\s+/);
    return { pid: Number(pid), ppid: Number(ppid), isZombie: stat.startsWith("Z") };
  });
}

/** By parent: each PostgreSQL backend starts its own session, so no process group covers them. */
function childrenOf(parent: number): readonly number[] {
  return listProcesses()
    .filter(({ ppid }) => ppid === parent)
    .map(({ pid }) => pid);
}

/** A killed server cannot start again while one of its children is still attached to the shared memory. */
async function processesEnd(pids: readonly number[]): Promise<void> {
  const isAlive = ({ pid, isZombie }: ProcessRow) => pids.includes(pid) && !isZombie;
  while (pids.length > 0 && listProcesses().some(isAlive)) await sleep(5);
}

/**
 * A free port on 127.0.0.1, below every system's ephemeral range. Inside that range the port of a stopped server
 * could become some client's source port, and a client that keeps dialling it can even connect to itself.
 */
export async function findFreePort(): Promise<number> {
  for (;;) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    if (await canListen(port)) return port;
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
