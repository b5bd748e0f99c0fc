import { afterEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { HeadgateError } from "../../src/core/error.ts";
import {
  generatePassword,
  withdrawPasswordFile,
  writePasswordFile,
} from "../../src/runtime/password-file.ts";
import { createScratchFolder, SERVER_IDENTITY } from "../support/scratch.ts";

const UMASK = process.umask();
afterEach(() => void process.umask(UMASK));

function newPath(): string {
  return join(createScratchFolder("password"), "password");
}

function contentOf(path: string): string {
  return readFileSync(path, "utf8");
}

/** Every failure is a HeadgateError of this one code that names the path and never the password. */
function failureOf(path: string, password: string): HeadgateError {
  try {
    writePasswordFile(path, password);
  } catch (error) {
    if (!(error instanceof HeadgateError)) throw error;
    expect(error.code).toBe("seed-failed");
    expect(error.message).toStartWith(`Cannot write the generated password to ${path}: `);
    expect(error.hint).toBeString();
    expect(`${error.message} ${error.hint} ${error.cause}`).not.toContain(password);
    return error;
  }
  throw new Error("it was written");
}

/** As a user whom a folder's mode binds: root's own calls would all succeed. */
function unprivileged<T>(act: () => T): T {
  const { uid } = SERVER_IDENTITY;
  if (uid === undefined) return act();
  process.seteuid?.(uid);
  try {
    return act();
  } finally {
    process.seteuid?.(0);
  }
}

describe("generatePassword()", () => {
  const passwords = Array.from({ length: 1000 }, () => generatePassword());

  test("never gives the same twice", () => {
    expect(new Set(passwords).size).toBe(1000);
  });

  test.each(["[A-Z]", "[a-z]", "[0-9]", "[^A-Za-z0-9]", "^.{39}$", "^[-A-Za-z0-9]+$"])(
    "always matches %s",
    (pattern) => {
      const isGood = (password: string): boolean => new RegExp(pattern).test(password);
      expect(passwords.filter((password) => !isGood(password))).toEqual([]);
    },
  );

  test("draws each of 32 characters equally often, and none that looks like another", () => {
    const drawn = passwords.map((password) => password.split("-").slice(1).join("")).join("");
    const counts = new Map<string, number>();
    for (const character of drawn) counts.set(character, (counts.get(character) ?? 0) + 1);
    expect(drawn).toHaveLength(30_000);
    expect([...counts.keys()].sort().join("")).toBe("23456789abcdefghijkmnpqrstuvwxyz");
    // 937.5 expected; eight standard deviations either way.
    for (const [character, count] of counts) {
      expect(`${character} ${count > 697 && count < 1178}`).toBe(`${character} true`);
    }
  });
});

describe("writePasswordFile()", () => {
  test.each(["000", "022", "077"])("with umask %s makes a file of mode 0600", (umask) => {
    const path = newPath();
    process.umask(umask);
    writePasswordFile(path, generatePassword());
    expect(lstatSync(path).mode & 0o7777).toBe(0o600);
  });

  test("writes the password and no line end, and leaves nothing else in the folder", () => {
    const path = newPath();
    const password = generatePassword();
    writePasswordFile(path, password);
    expect(contentOf(path)).toBe(password);
    expect(readdirSync(dirname(path))).toEqual(["password"]);
  });

  const replaced: readonly [what: string, content: string][] = [
    ["an empty file", ""],
    ["a generated password", generatePassword()],
    ["a generated password with a line end", `${generatePassword()}\n`],
    ["a generated password with CRLF", `${generatePassword()}\r\n`],
  ];
  test.each(replaced)("replaces %s by a new file of mode 0600", (_what, content) => {
    const path = newPath();
    writeFileSync(path, content, { mode: 0o644 });
    const other = `${path}-other-name`;
    linkSync(path, other);
    const password = generatePassword();
    writePasswordFile(path, password);
    expect(contentOf(path)).toBe(password);
    expect(lstatSync(path).mode & 0o7777).toBe(0o600);
    expect(contentOf(other)).toBe(content); // never written in place: no reader sees half of it
  });

  const refused: readonly [what: string, content: string][] = [
    ["something else", "127.0.0.1 localhost\n"],
    ["a blank line", "\n"],
    ["a byte order mark", "\uFEFF"],
    ["somebody's password", "hunter2"],
    ["a generated password and more", `${generatePassword()}\nmore`],
    ["a generated password and much more", `${generatePassword()}\n${"more ".repeat(100)}`],
    ["a generated password after something", `PASSWORD=${generatePassword()}`],
    ["a generated password with two line ends", `${generatePassword()}\n\n`],
    ["a generated password cut short", generatePassword().slice(0, -1)],
    ["a generated password in capitals", generatePassword().toUpperCase()],
  ];
  test.each(refused)("leaves a file with %s alone", (_what, content) => {
    const path = newPath();
    writeFileSync(path, content, { mode: 0o640 });
    const before = lstatSync(path);
    expect(failureOf(path, generatePassword()).message).toEndWith(
      "the file exists and holds something else",
    );
    expect(contentOf(path)).toBe(content);
    const after = lstatSync(path);
    expect([after.ino, after.mode, after.mtimeMs]).toEqual([
      before.ino,
      before.mode,
      before.mtimeMs,
    ]);
    expect(readdirSync(dirname(path))).toEqual(["password"]);
  });

  test("leaves a symbolic link alone, whatever its target holds", () => {
    const path = newPath();
    const target = `${path}-target`;
    symlinkSync(target, path);
    for (const content of ["", generatePassword(), "something else"]) {
      writeFileSync(target, content);
      expect(failureOf(path, generatePassword()).message).toEndWith("it is a symbolic link");
      expect(lstatSync(path).isSymbolicLink()).toBe(true);
      expect(contentOf(target)).toBe(content);
    }
  });

  test("leaves a symbolic link to nothing alone", () => {
    const path = newPath();
    symlinkSync(`${path}-target`, path);
    expect(failureOf(path, generatePassword()).message).toEndWith("it is a symbolic link");
    expect(readdirSync(dirname(path))).toEqual(["password"]);
  });

  test("leaves a folder alone", () => {
    const path = newPath();
    mkdirSync(path);
    expect(failureOf(path, generatePassword()).message).toEndWith("it is a folder");
    expect(readdirSync(path)).toEqual([]);
  });

  test("leaves a FIFO alone, and does not wait for its other end", () => {
    const path = newPath();
    execFileSync("mkfifo", [path]);
    expect(failureOf(path, generatePassword()).message).toEndWith("it is not a regular file");
    expect(lstatSync(path).isFIFO()).toBe(true);
  });

  const unreachable: readonly [what: string, below: string, problem: string, hint: string][] = [
    ["a missing folder", "missing/password", "its folder does not exist", "Create the"],
    ["a file for a folder", "file/password", "a part of the path is not a folder", "Name a file"],
    ["a slash after a file", "file/", "a part of the path is not a folder", "Name a file"],
    ["a slash after a new name", "new/", "a part of the path is not a folder", "Name a file"],
    ["a name that is too long", "x".repeat(300), "it failed with ENAMETOOLONG", "Name another"],
  ];
  test.each(unreachable)("tells of %s in the path", (_what, below, problem, hint) => {
    const folder = createScratchFolder("password");
    writeFileSync(join(folder, "file"), "");
    const error = failureOf(`${folder}/${below}`, generatePassword());
    expect(error.message).toEndWith(`: ${problem}`);
    expect(error.hint).toStartWith(hint);
    expect(readdirSync(folder)).toEqual(["file"]);
    expect(contentOf(join(folder, "file"))).toBe("");
  });

  test("tells of a folder that takes no new file", () => {
    const path = newPath();
    chmodSync(dirname(path), 0o500);
    const error = unprivileged(() => failureOf(path, generatePassword()));
    expect(error.message).toEndWith(": permission denied");
    chmodSync(dirname(path), 0o700);
    expect(readdirSync(dirname(path))).toEqual([]);
  });
});

describe("withdrawPasswordFile()", () => {
  test.each(["", "\n", "\r\n"])("removes its own password with line end %j", (lineEnd) => {
    const path = newPath();
    const password = generatePassword();
    writeFileSync(path, `${password}${lineEnd}`);
    withdrawPasswordFile(path, password);
    expect(readdirSync(dirname(path))).toEqual([]);
  });

  test("leaves another password alone, and one with more after it", () => {
    const path = newPath();
    const password = generatePassword();
    for (const content of [generatePassword(), `${password}\nmore`, `${password}2`, ""]) {
      writeFileSync(path, content);
      withdrawPasswordFile(path, password);
      expect(contentOf(path)).toBe(content);
    }
  });

  test("leaves a symbolic link alone", () => {
    const path = newPath();
    const password = generatePassword();
    writeFileSync(`${path}-target`, password);
    symlinkSync(`${path}-target`, path);
    withdrawPasswordFile(path, password);
    expect(lstatSync(path).isSymbolicLink()).toBe(true);
  });

  test("leaves a FIFO alone, and does not wait for its other end", () => {
    const path = newPath();
    execFileSync("mkfifo", [path]);
    withdrawPasswordFile(path, generatePassword());
    expect(lstatSync(path).isFIFO()).toBe(true);
  });

  test("is content with a file that is gone or cannot be removed", () => {
    const path = newPath();
    const password = generatePassword();
    withdrawPasswordFile(path, password);
    withdrawPasswordFile(`${path}/below`, password);
    writePasswordFile(path, password);
    chmodSync(dirname(path), 0o500);
    unprivileged(() => withdrawPasswordFile(path, password));
    chmodSync(dirname(path), 0o700);
    expect(contentOf(path)).toBe(password);
  });
});
