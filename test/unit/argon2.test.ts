import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { argon2Verify } from "hash-wasm";
import { HeadgateError } from "../../src/core/error.ts";
import { type Argon2Cost, hashPassword } from "../../src/runtime/argon2.ts";
import { createVault } from "../../src/runtime/vault.ts";
import { createScratchFolder } from "../support/scratch.ts";

const DEFAULT: Argon2Cost = { passes: 3, memoryKib: 65_536, parallelism: 1 };
const CHEAP: Argon2Cost = { passes: 1, memoryKib: 64, parallelism: 1 };
const PHC = /^\$argon2id\$v=19\$m=65536,t=3,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/;
const TIMEOUT_MS = 60_000;

const PASSWORDS: readonly [what: string, password: string][] = [
  ["ASCII", "correct horse battery staple"],
  ["UTF-8 with an emoji", "grüße 🔑 пароль"],
  ["one character", "x"],
  ["200 characters", "pä".repeat(100)],
];
const COSTS: readonly Argon2Cost[] = [
  CHEAP,
  { passes: 4, memoryKib: 256, parallelism: 1 },
  { passes: 2, memoryKib: 1024, parallelism: 4 },
];

/** By another implementation than those of the runtimes; it reads the cost out of the hash. */
function verifies(password: string, hash: string): Promise<boolean> {
  return argon2Verify({ password, hash });
}

describe("hashPassword()", () => {
  test("gives 97 characters at the default cost, and they verify", async () => {
    const hash = await hashPassword("grüße 🔑", DEFAULT);
    expect(hash).toMatch(PHC);
    expect(hash).toHaveLength(97);
    expect(await verifies("grüße 🔑", hash)).toBe(true);
  });

  test.each(COSTS)("verifies the right password only, at cost %o", async (cost) => {
    for (const [what, password] of PASSWORDS) {
      const hash = await hashPassword(password, cost);
      const parameters = `m=${cost.memoryKib},t=${cost.passes},p=${cost.parallelism}`;
      expect(hash).toStartWith(`$argon2id$v=19$${parameters}$`);
      expect([what, await verifies(password, hash)]).toEqual([what, true]);
      expect([what, await verifies(`${password} `, hash)]).toEqual([what, false]);
    }
  });

  test("of one password differs each time, by its salt", async () => {
    const hashes = await Promise.all(Array.from({ length: 20 }, () => hashPassword("x", CHEAP)));
    expect(new Set(hashes.map((hash) => hash.split("$")[4])).size).toBe(20);
    expect(new Set(hashes.map((hash) => hash.split("$")[5])).size).toBe(20);
  });

  test("leaves Unicode as it is", async () => {
    const hash = await hashPassword("e\u0301", CHEAP);
    expect(await verifies("e\u0301", hash)).toBe(true);
    expect(await verifies("\u00e9", hash)).toBe(false);
  });

  test("lets the event loop go on", async () => {
    const hash = hashPassword("x", DEFAULT).then(() => "hash");
    expect(await Promise.race([hash, Bun.sleep(1).then(() => "timer")])).toBe("timer");
    await hash;
  });

  const refused: readonly Argon2Cost[] = [
    { ...CHEAP, passes: 0 },
    { ...CHEAP, parallelism: 0 },
    { ...CHEAP, memoryKib: 7 },
    { ...CHEAP, memoryKib: 2 ** 33 },
  ];
  test.each(refused)("tells of a cost that cannot be paid, %o", async (cost) => {
    const error: unknown = await hashPassword("s3cr3t", cost).catch((thrown) => thrown);
    if (!(error instanceof HeadgateError)) throw new Error("it is no HeadgateError");
    expect(error.code).toBe("seed-failed");
    expect(error.message).toContain(`m=${cost.memoryKib},t=${cost.passes},p=${cost.parallelism}`);
    expect(error.hint).toContain(`${cost.memoryKib} KiB`);
    expect(`${error.message} ${error.hint}`).not.toContain("s3cr3t");
  });
});

describe("createVault()", () => {
  test("hashes at its cost", async () => {
    const hash = await createVault(CHEAP).hash("pw");
    expect(hash).toContain("$m=64,t=1,p=1$");
    expect(await verifies("pw", hash)).toBe(true);
  });

  test(
    "does the same on Deno, from source",
    async () => {
      const file = join(createScratchFolder("vault"), "password");
      const found = await onDeno<DenoFindings>(denoScript(file));
      expect(found.default).toMatch(PHC);
      expect(await verifies("grüße 🔑", found.default)).toBe(true);
      for (const [password, hash] of found.hashes) {
        expect([password, await verifies(password, hash)]).toEqual([password, true]);
        expect([password, await verifies(`${password} `, hash)]).toEqual([password, false]);
      }
      expect(found.hashes).toHaveLength(PASSWORDS.length * COSTS.length);
      expect(found).toMatchObject({
        first: "timer",
        refusedCost: "seed-failed",
        withoutArgon2: "seed-failed",
        mode: "600",
        isWritten: true,
        refusedFile: "seed-failed",
        foreign: "not ours",
        left: ["password"],
      });
    },
    TIMEOUT_MS,
  );
});

interface DenoFindings {
  readonly hashes: readonly (readonly [password: string, hash: string])[];
  readonly default: string;
  readonly [finding: string]: unknown;
}

/** Prints what it finds as one line of JSON. */
function denoScript(file: string): string {
  return `
    import { lstatSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
    import { dirname } from "node:path";
    import process from "node:process";
    import { createVault } from "./src/runtime/vault.ts";
    const standard = ${JSON.stringify(DEFAULT)};
    const file = ${JSON.stringify(file)};
    const vault = createVault(standard);
    const found = { hashes: [] };
    for (const cost of ${JSON.stringify(COSTS)}) {
      for (const [, password] of ${JSON.stringify(PASSWORDS)}) {
        found.hashes.push([password, await createVault(cost).hash(password)]);
      }
    }
    const hash = vault.hash("grüße 🔑");
    const timer = new Promise((resolve) => setTimeout(() => resolve("timer"), 1));
    found.first = await Promise.race([hash.then(() => "hash"), timer]);
    found.default = await hash;
    const code = (error) => error.code;
    found.refusedCost = await createVault({ ...standard, passes: 0 }).hash("x").catch(code);
    crypto.subtle.importKey = () => Promise.reject(new Error("no such algorithm"));
    found.withoutArgon2 = await vault.hash("x").catch(code);

    process.umask(0);
    const [first, second] = [vault.generate(), vault.generate()];
    vault.write(file, first);
    vault.write(file, second);
    found.mode = (lstatSync(file).mode & 0o7777).toString(8);
    vault.withdraw(file, first);
    found.isWritten = readFileSync(file, "utf8") === second;
    vault.withdraw(file, second);
    writeFileSync(file, "not ours");
    try { vault.write(file, first); } catch (error) { found.refusedFile = error.code; }
    found.foreign = readFileSync(file, "utf8");
    found.left = readdirSync(dirname(file));
    console.log(JSON.stringify(found));`;
}

/** Through npm's starter in JavaScript, run by this Bun: it needs no Node, and no network. */
async function onDeno<T>(script: string): Promise<T> {
  const root = join(import.meta.dirname, "../..");
  const deno = [process.execPath, join(root, "node_modules/deno/bin.cjs")];
  const child = Bun.spawn([...deno, "run", "-A", "--no-remote", "--ext=js", "-"], {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" },
    stdin: new Blob([script]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const texts = await Promise.all([child.stdout, child.stderr].map((s) => new Response(s).text()));
  if ((await child.exited) !== 0) throw new Error(texts.join("\n"));
  return JSON.parse(texts[0] ?? "") as T;
}
