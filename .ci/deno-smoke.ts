/**
 * Headgate from source on Deno, against a real server, and the compiled binary on the same database: each must take the
 * other's history for its own. Needs `dist/headgate`; ends in the line `N passed, N failed`.
 */
import { arch, platform } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { startLocalPostgres } from "../test/support/local-postgres.ts";

interface Program {
  readonly name: string;
  readonly command: readonly string[];
}

interface Expected {
  readonly program: Program;
  readonly args: readonly string[];
  readonly status: number;
  /** What stdout and stderr together must match. */
  readonly says: RegExp;
}

/** From source, Deno alone takes half of a probe's usual budget to start. */
const PROBE: readonly string[] = ["probe", "--timeout", "10s"];
const ROOT: string = join(import.meta.dirname, "..");
const COMMAND_TIMEOUT_MS = 60_000;

/** Through npm's starter in JavaScript, run by this Bun: it needs no Node, and no network. */
const deno: Program = {
  name: "deno",
  command: [
    process.execPath,
    join(ROOT, "node_modules/deno/bin.cjs"),
    "run",
    "-A",
    "--no-remote",
    join(ROOT, "src/main.ts"),
  ],
};
const binary: Program = { name: "dist/headgate", command: [join(ROOT, "dist/headgate")] };

/** In this order, on one database each. */
const runs: readonly (readonly Expected[])[] = [
  [
    { program: deno, args: PROBE, status: 1, says: /./ },
    { program: deno, args: ["up"], status: 0, says: /"event":"migration.applied"/ },
    { program: deno, args: ["up"], status: 0, says: /fast path/ },
    { program: deno, args: ["wait", "--deadline", "30s"], status: 0, says: /at head/ },
    { program: deno, args: ["manifest", "kubernetes"], status: 0, says: /kind: Job/ },
    { program: deno, args: ["bundle", "-o", "x"], status: 2, says: /runs from source/ },
    { program: deno, args: ["seed"], status: 0, says: /Nothing to seed/ },
    { program: deno, args: [...PROBE, "--require-seeds"], status: 0, says: /at head/ },
    { program: binary, args: ["seed"], status: 0, says: /Nothing to seed/ },
    { program: binary, args: ["probe", "--require-seeds"], status: 0, says: /at head/ },
    { program: binary, args: ["up"], status: 0, says: /fast path/ },
  ],
  [
    { program: binary, args: ["up", "--seed", "none"], status: 0, says: /"migration.applied"/ },
    { program: deno, args: [...PROBE, "--require-seeds"], status: 1, says: /seeds-stale/ },
    { program: deno, args: ["seed"], status: 0, says: /created admin/ },
    { program: binary, args: ["seed"], status: 0, says: /Nothing to seed/ },
    { program: deno, args: PROBE, status: 0, says: /at head/ },
    { program: deno, args: ["up"], status: 0, says: /fast path/ },
    { program: deno, args: ["drill", "--replicas", "2", "--kill", "1"], status: 0, says: /: good/ },
  ],
];

const server = await startLocalPostgres();
console.log(
  `Deno smoke test on a local server, PostgreSQL ${server.version}, ${platform()}-${arch()}`,
);
let passed = 0;
const failures: string[] = [];
for (const [i, steps] of runs.entries()) {
  const { url } = await server.createDatabase();
  for (const expected of steps) {
    const { isGood, detail } = await check(expected, url);
    const what = `${expected.program.name} ${expected.args.join(" ")}`.padEnd(38);
    console.log(`${isGood ? "ok    " : "FAILED"} database ${i + 1}: ${what} ${detail}`);
    if (isGood) passed += 1;
    else failures.push(`${what.trim()}: ${detail.split("\n")[0]}`);
  }
}
await server.stop();
for (const line of failures) console.log(`failed: Deno: ${line}`);
console.log(`${passed} passed, ${failures.length} failed`);
process.exit(failures.length === 0 ? 0 : 1);

async function check(
  { program, args, status, says }: Expected,
  url: string,
): Promise<{ isGood: boolean; detail: string }> {
  const startMs = performance.now();
  const child = Bun.spawn([...program.command, ...args], {
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      DENO_NO_UPDATE_CHECK: "1",
      DATABASE_URL: url,
      PLATFORM_ADMIN_PASSWORD: "a staple, a battery, a horse",
      HEADGATE_LOG_FORMAT: "json",
    },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: COMMAND_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const texts = await Promise.all([child.stdout, child.stderr].map((s) => new Response(s).text()));
  await child.exited;
  const output = texts.join("");
  const took = `exit ${child.exitCode ?? child.signalCode}, ${Math.round(performance.now() - startMs)} ms`;
  if (child.exitCode === status && says.test(output)) return { isGood: true, detail: took };
  const wanted = `wanted ${status} and ${says}`;
  return { isGood: false, detail: `${took}, ${wanted}:\n${output.slice(-2000)}` };
}
