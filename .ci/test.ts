/**
 * The test command: finds or installs what the suite needs, builds `dist/headgate`, runs everything, and ends in the
 * line `N passed, N failed`.
 *
 *   npm test                                everything, on servers of this machine
 *   npm test -- test/e2e/race tls           the files whose path contains one of these words
 *   npm test -- race -t "24 processes"      from the first flag on, arguments go to `bun test`
 *
 * TEST_SUBSTRATE=containers moves the servers into containers; an engine must answer then, and `.ci/run` shows how.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { readSummary, type Summary } from "./bun-summary.ts";
import { ensurePrograms } from "./prerequisites.ts";

interface Part {
  readonly name: string;
  readonly folders: readonly string[];
  readonly flags: readonly string[];
  readonly needsServers: boolean;
  /** Only there. */
  readonly substrate?: "containers";
  /** How many files run at once, each in a process of its own; without it, all in one. */
  readonly lanes?: number;
  /** Which of the folders' files; all without it. */
  readonly includes?: (path: string) => boolean;
}

type Result = Summary & { readonly part: Part; readonly durationMs: number };

const ROOT: string = join(import.meta.dirname, "..");
const SUBSTRATE: string = process.env["TEST_SUBSTRATE"] ?? "local";
const BUILD_TIMEOUT_MS = 120_000;
const TEST_TIMEOUT_MS = 120_000;
const PART_TIMEOUT_MS = 1_500_000;

const PARTS: readonly Part[] = [
  {
    name: "unit, architecture",
    folders: ["test/unit", "test/arch"],
    flags: ["--randomize"],
    needsServers: false,
  },
  { name: "integration", folders: ["test/integration"], flags: [], needsServers: true },
  {
    name: "races",
    folders: ["test/e2e"],
    flags: [],
    needsServers: true,
    lanes: 1,
    includes: isTimed,
  },
  {
    name: "end to end",
    folders: ["test/e2e"],
    flags: [],
    needsServers: true,
    lanes: 2,
    includes: (path) => !isTimed(path),
  },
  {
    name: "images, pods",
    folders: ["test/containers"],
    flags: [],
    needsServers: true,
    substrate: "containers",
  },
];

/** The only tests that may be skipped. Any other skipped test counts as failed. */
const ALLOWED_SKIPS: readonly { readonly name: RegExp; readonly reason: string }[] = [
  {
    name: /^migrations released by a tag are unchanged$/,
    reason: "this checkout has no release tag to compare with",
  },
  {
    name: /^the (?:image for musl|build for arm64) > /,
    reason: "it needs musl, a compiler or an emulator, and runs with TEST_SUBSTRATE=containers",
  },
  {
    name: /^the image, run by a namespace of its own, > /,
    reason: "without an engine only root on Linux runs an image: TEST_SUBSTRATE=containers",
  },
  {
    name: /^no newer PgBouncer: /,
    reason: "only the system's PgBouncer was tested",
  },
];

/** They compare times of one run, and want the machine to themselves. */
function isTimed(path: string): boolean {
  return /\/(?:seed-)?race(?:-controls)?\.test\.ts$/.test(path);
}

async function main(args: readonly string[]): Promise<number> {
  const firstFlag = args.findIndex((arg) => arg.startsWith("-"));
  const words = firstFlag === -1 ? args : args.slice(0, firstFlag);
  const flags = args.slice(words.length);
  const parts = PARTS.filter(({ substrate }) => substrate === undefined || substrate === SUBSTRATE);
  const selection = parts.map((part) => ({ part, files: filesOf(part, words) }));
  const selected = selection.filter(({ files }) => files.length > 0);
  if (selected.length === 0) return refuse([`No test file's path contains ${words.join(" or ")}`]);

  const missing = ensurePrograms();
  if (missing.length > 0) return refuse(missing);
  if (!build()) return report([], 1);

  const results: Result[] = [];
  for (const { part, files } of selected) results.push(await runPart(part, files, flags));
  const hasRun = results.some(({ passed, failed }) => passed + failed > 0);
  if (!hasRun) say("No test ran: that is a failure");
  return report(results, hasRun ? 0 : 1);
}

/** One stream for everything, or the last line would not be the last. */
function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function refuse(lines: readonly string[]): number {
  for (const line of lines) say(line);
  return 1;
}

function filesOf(part: Part, words: readonly string[]): readonly string[] {
  return part.folders
    .flatMap((folder) => readdirSync(join(ROOT, folder)).map((file) => `./${folder}/${file}`))
    .filter((path) => path.endsWith(".test.ts"))
    .filter((path) => part.includes?.(path) ?? true)
    .filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
    .sort();
}

function build(): boolean {
  const run = spawnSync(process.execPath, [".ci/build.ts"], {
    cwd: ROOT,
    stdio: "inherit",
    timeout: BUILD_TIMEOUT_MS,
  });
  if (run.status !== 0) say("dist/headgate cannot be built: nothing was tested");
  return run.status === 0;
}

async function runPart(
  part: Part,
  files: readonly string[],
  flags: readonly string[],
): Promise<Result> {
  say(`\n=== ${part.name}, on ${placeOf(part)}\n`);
  const startMs = performance.now();
  const waiting = part.lanes === undefined ? [files] : files.map((file) => [file]);
  const summaries: Summary[] = [];
  const lane = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      summaries.push(await runFiles(next, [...part.flags, ...flags], part.lanes === 2));
    }
  };
  await Promise.all(Array.from({ length: part.lanes ?? 1 }, lane));
  return { ...sumOf(summaries), part, durationMs: performance.now() - startMs };
}

function sumOf(summaries: readonly Summary[]): Summary {
  return {
    passed: summaries.reduce((sum, { passed }) => sum + passed, 0),
    failed: summaries.reduce((sum, { failed }) => sum + failed, 0),
    skipped: summaries.flatMap(({ skipped }) => skipped),
    failures: summaries.flatMap(({ failures }) => failures),
  };
}

/** @param isHeldBack Shown when all of it is there, so that two at once do not mix. */
async function runFiles(
  files: readonly string[],
  flags: readonly string[],
  isHeldBack: boolean,
): Promise<Summary> {
  const timeout = ["--timeout", String(TEST_TIMEOUT_MS)];
  const child = Bun.spawn([process.execPath, "test", ...files, ...timeout, ...flags], {
    cwd: ROOT,
    env: testEnvironment(),
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: PART_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const read = isHeldBack ? textOf : passOn;
  const [stdout, stderr] = await Promise.all([read(child.stdout), read(child.stderr)]);
  if (isHeldBack) say(`${stdout}${stderr}`);
  await child.exited;
  return readSummary(`${stdout}\n${stderr}`, child.exitCode ?? child.signalCode ?? "unknown");
}

function textOf(stream: ReadableStream<Uint8Array>): Promise<string> {
  return new Response(stream).text();
}

/** Bun leaves out the lines of skipped tests when it takes its reader for a program. */
function testEnvironment(): Record<string, string | undefined> {
  const { CLAUDECODE, AGENT, REPL_ID, FORCE_COLOR, ...env } = process.env;
  return { ...env, TEST_SUBSTRATE: SUBSTRATE };
}

/** Shows a stream while it comes, and keeps it. */
async function passOn(stream: ReadableStream<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) {
    process.stdout.write(chunk);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function placeOf({ needsServers }: Part): string {
  if (!needsServers) return "no server";
  return SUBSTRATE === "local" ? "local servers" : SUBSTRATE;
}

/** Returns the exit status. */
function report(results: readonly Result[], otherFailures: number): number {
  say("");
  let [passed, failed] = [0, otherFailures];
  const failures = results.flatMap((result) => result.failures);
  for (const result of results) {
    const unexpected = result.skipped.filter((name) => reasonOf(name) === undefined);
    passed += result.passed;
    failed += result.failed + unexpected.length;
    failures.push(...unexpected.map((name) => `${name}: skipped without a reason`));
    say(renderResult(result));
    for (const name of result.skipped) {
      say(`  skipped: ${name}: ${reasonOf(name) ?? "without a reason"}`);
    }
  }
  // At the very end, with the error indented: the end of a log is what is read first, or all there is.
  for (const line of failures) say(`failed: ${line}`);
  say(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

function reasonOf(test: string): string | undefined {
  return ALLOWED_SKIPS.find(({ name }) => name.test(test))?.reason;
}

function renderResult({ part, passed, failed, skipped, durationMs }: Result): string {
  const columns = [
    part.name.padEnd(20),
    placeOf(part).padEnd(14),
    `${passed} passed`.padStart(12),
    `${failed} failed`.padStart(11),
    `${skipped.length} skipped`.padStart(12),
    `${(durationMs / 1000).toFixed(1)} s`.padStart(10),
  ];
  return columns.join("");
}

process.exitCode = await main(process.argv.slice(2));
