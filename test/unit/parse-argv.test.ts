import { describe, expect, test } from "bun:test";
import type { Format } from "../../src/cli/operands.ts";
import { type Invocation, parseArgv } from "../../src/cli/parse-argv.ts";
import { ALIASES, COMMANDS, type CommandName } from "../../src/config/commands.ts";
import type { Flags } from "../../src/config/read-settings.ts";
import { SETTINGS } from "../../src/config/settings.ts";
import { HeadgateError } from "../../src/core/error.ts";

const COMMAND_NAMES = Object.keys(COMMANDS) as CommandName[];

function command(
  name: CommandName,
  flags: Flags = {},
  count = 1,
  target: number | undefined = undefined,
): Extract<Invocation, { readonly kind: "command" }> {
  return { kind: "command", command: name, flags, count, target };
}

/** A command with the least that it must be given, and what that is read as. */
function least(name: CommandName): {
  readonly argv: readonly string[];
  readonly read: {
    readonly target?: number;
    readonly format?: Format;
    readonly folder?: string;
  };
} {
  if (name === "resolve") return { argv: [name, "7"], read: { target: 7 } };
  if (name === "install") return { argv: [name, "/to"], read: { folder: "/to" } };
  if (name === "manifest") return { argv: [name, "helm"], read: { format: "helm" } };
  return { argv: [name], read: {} };
}

/** Words stand apart at single blanks; `_` is an empty one. */
function words(line: string): readonly string[] {
  return line === "" ? [] : line.split(" ").map((word) => (word === "_" ? "" : word));
}

function refusal(argv: readonly string[]): HeadgateError {
  try {
    parseArgv(argv);
  } catch (error) {
    if (error instanceof HeadgateError) return error;
    throw error;
  }
  throw new Error(`${argv.join(" ")} was read`);
}

describe("parseArgv() reads", () => {
  test.each(COMMAND_NAMES)("the command %s", (name) => {
    const { argv, read } = least(name);
    expect(parseArgv(argv)).toEqual({ ...command(name), ...read });
  });

  test.each(Object.entries(ALIASES))("%s as %s", (alias, name) => {
    expect(parseArgv([alias, "--json"])).toEqual(command(name, { json: "true" }));
    expect(parseArgv([alias, "--help"])).toEqual({ kind: "help", topic: name });
  });

  const others: readonly [line: string, then: Invocation][] = [
    ["--help", { kind: "help", topic: undefined }],
    ["-h", { kind: "help", topic: undefined }],
    ["up --help", { kind: "help", topic: "up" }],
    ["--help up", { kind: "help", topic: "up" }],
    ["probe -h --nonsense", { kind: "help", topic: "probe" }],
    ["--version", { kind: "version" }],
    ["-v", { kind: "version" }],
    ["version", command("version")],
    ["version --json", command("version", { json: "true" })],
    ["down", command("down")],
    ["down 3", command("down", {}, 3)],
    ["down 007", command("down", {}, 7)],
    ["down --json 3", command("down", { json: "true" }, 3)],
    ["down -- 3", command("down", {}, 3)],
    ["down 3 --lock-wait 5s", command("down", { lockWait: "5s" }, 3)],
    ["locks release 4711", command("locks", {}, 1, 4711)],
    ["locks release 4711 --yes", command("locks", { yes: "true" }, 1, 4711)],
    ["locks --sample 1s release 12", command("locks", { sample: "1s" }, 1, 12)],
    ["resolve 12 --applied", command("resolve", { applied: "true" }, 1, 12)],
    ["resolve --rolled-back 0012", command("resolve", { rolledBack: "true" }, 1, 12)],
    [
      "manifest --owner init compose",
      { ...command("manifest", { owner: "init" }), format: "compose" },
    ],
    ["bundle -o next", command("bundle", { output: "next" })],
    ["--json up", command("up", { json: "true" })],
    ["--ledger x up", command("up", { ledger: "x" })],
  ];
  test.each(others)("%s", (line, then) => {
    expect(parseArgv(words(line))).toEqual(then);
  });

  const flags: readonly [line: string, then: Flags][] = [
    ["up --policy exact", { policy: "exact" }],
    ["up --policy=exact", { policy: "exact" }],
    ["up --dir=a=b", { dir: "a=b" }],
    ["up --dir ./up", { dir: "./up" }],
    ["up --dir up", { dir: "up" }],
    ["up --dir=-x", { dir: "-x" }],
    ["up --ledger a.b", { ledger: "a.b" }],
    ["up --ledger true", { ledger: "true" }],
    ["up --json", { json: "true" }],
    ["up --json=true", { json: "true" }],
    ["up --json=false", { json: "false" }],
    ["up --json true", { json: "true" }],
    ["up --json false", { json: "false" }],
    ["up --no-json", { json: "false" }],
    ["up --json --atomic", { json: "true", atomic: "true" }],
    ["up --log-level=debug --log-format json", { logLevel: "debug", logFormat: "json" }],
    ["status --exit-code", { exitCode: "true" }],
    ["status --exit-code true", { exitCode: "true" }],
    ["status --exit-code false --json", { exitCode: "false", json: "true" }],
    ["seed --no-ledger", { noLedger: "true" }],
    ["seed --no-ledger=true", { noLedger: "true" }],
    ["seed --no-ledger=false", { noLedger: "false" }],
    ["seed --no-ledger --ledger x", { noLedger: "true", ledger: "x" }],
    ["seed --ledger x --no-ledger", { noLedger: "true", ledger: "x" }],
    ["up --require-password-change false", { requirePasswordChange: "false" }],
    ["up --", {}],
    ["up --json --", { json: "true" }],
  ];
  test.each(flags)("the flags of %s", (line, then) => {
    const [name = ""] = words(line);
    expect(parseArgv(words(line))).toEqual(command(name as CommandName, then));
  });
});

describe("parseArgv() leaves a value as it was written:", () => {
  // cac alone reads 0012 as 12, 1e3 as 1000 and loses the end of a large number.
  // biome-ignore format: a table
  const values = [
    "0012", "1e3", "0x10", "-5", "-0", "1.50", "9223372036854775807", "-9223372036854775808", "9007199254740993",
    "  5 ", "true", "false", "null", "a b", "ä", "a,b", "postgres://u:p@h/d", "\u0001",
  ];
  test.each(values)("%s", (value) => {
    expect(parseArgv(["up", "--lock-id", value])).toEqual(command("up", { lockId: value }));
    expect(parseArgv(["up", `--lock-id=${value}`])).toEqual(command("up", { lockId: value }));
  });

  test("of every flag that takes one", () => {
    for (const [name, { flag, argument, commands }] of Object.entries(SETTINGS)) {
      if (argument === undefined) continue;
      for (const each of commands) {
        const { argv, read } = least(each);
        expect(parseArgv([...argv, `--${flag}`, "0012"])).toEqual({
          ...command(each, { [name]: "0012" }),
          ...read,
        });
      }
    }
  });

  test("and a switch is true", () => {
    for (const [name, { flag, argument, commands }] of Object.entries(SETTINGS)) {
      if (argument !== undefined) continue;
      for (const each of commands) {
        const { argv, read } = least(each);
        expect(parseArgv([...argv, `--${flag}`])).toEqual({
          ...command(each, { [name]: "true" }),
          ...read,
        });
      }
    }
  });
});

describe("parseArgv() refuses", () => {
  const PREFIX = "Cannot read the command line: ";
  const table: readonly [line: string, problem: string, hint: string][] = [
    ["", "no command is given", 'Run "headgate --help"'],
    ["--json", "no command is given", 'Run "headgate --help"'],
    ["--", "no command is given", 'Run "headgate --help"'],
    ["chekc", '"chekc" is no command', 'Did you mean "headgate check"?'],
    ["chekc --help", '"chekc" is no command', 'Did you mean "headgate check"?'],
    ["chekc --version", '"chekc" is no command', 'Did you mean "headgate check"?'],
    ["prob", '"prob" is no command', 'Did you mean "headgate probe"?'],
    ["Up", '"Up" is no command', 'Did you mean "headgate up"?'],
    ["migrat", '"migrat" is no command', 'Did you mean "headgate migrate"?'],
    ["frobnicate", '"frobnicate" is no command', 'Run "headgate --help"'],
    ["1e3", '"1e3" is no command', 'Run "headgate --help"'],
    ["_", '"" is no command', 'Run "headgate --help"'],
    ["up --polcy exact", "up has no flag --polcy", "Did you mean --policy?"],
    ["up --frobnicate", "up has no flag --frobnicate", 'Run "headgate up --help"'],
    ["check --dri x", "probe has no flag --dri", "Did you mean --dir?"],
    ["probe --lock-wait 3s", "probe has no flag --lock-wait", 'Run "headgate probe --help"'],
    ["status --atomic", "status has no flag --atomic", 'Run "headgate status --help"'],
    ["up --version", "up has no flag --version", 'Run "headgate up --help"'],
    ["up -x", "up has no flag --x", 'Run "headgate up --help"'],
    ["up --ledger", "--ledger needs a value: <name>", 'Run "headgate --help"'],
    ["up --ledger --json", "--ledger needs a value: <name>", 'Run "headgate --help"'],
    ["up --ledger=", "--ledger needs a value: <name>", 'Run "headgate --help"'],
    ["up --ledger _", "--ledger needs a value: <name>", 'Run "headgate --help"'],
    ["up --no-ledger", "up has no flag --no-ledger", "Did you mean --ledger?"],
    [
      "seed --no-ledger=1",
      "--no-ledger is a switch and takes true or false",
      'Run "headgate --help"',
    ],
    ["seed --no-ledger --no-ledger", "--no-ledger is given twice", 'Run "headgate --help"'],
    ["up --policy exact --policy exact", "--policy is given twice", 'Run "headgate --help"'],
    ["up --policy=exact --policy exact", "--policy is given twice", 'Run "headgate --help"'],
    ["up --json --json", "--json is given twice", 'Run "headgate --help"'],
    ["up --json=1", "--json is a switch and takes true or false", 'Run "headgate --help"'],
    ["down --json=3", "--json is a switch and takes true or false", 'Run "headgate --help"'],
    ["status --exit-code 3", 'status takes no argument "3"', 'Run "headgate --help"'],
    ["up 3", 'up takes no argument "3"', 'Run "headgate --help"'],
    ["up up", 'up takes no argument "up"', 'Run "headgate --help"'],
    ["up --json extra", 'up takes no argument "extra"', 'Run "headgate --help"'],
    ["up -- extra", 'up takes no argument "extra"', 'Run "headgate --help"'],
    ["up -", 'up takes no argument "-"', 'Run "headgate --help"'],
    ["up ---json", 'up takes no argument "---json"', 'Run "headgate --help"'],
    ["up --__proto__ x", 'up takes no argument "--__proto__"', 'Run "headgate --help"'],
    ["down 3 4", 'down takes no argument "4"', 'Run "headgate --help"'],
    ["locks 4711", 'locks takes no argument "4711"', 'Run "headgate --help"'],
    [
      "locks relase 4711",
      'locks takes no argument "relase"',
      'Did you mean "headgate locks release PID"?',
    ],
    [
      "locks release",
      "locks release takes the pid of a holder, none is given",
      'Run "headgate locks" for them',
    ],
    [
      "locks release 0",
      'locks release takes the pid of a holder, not "0"',
      'Run "headgate locks" for them',
    ],
    [
      "locks release 1e3",
      'locks release takes the pid of a holder, not "1e3"',
      'Run "headgate locks" for them',
    ],
    ["locks release 12 13", 'locks release takes no argument "13"', 'Run "headgate --help"'],
    [
      "resolve",
      "resolve takes the version of the row to settle, none is given",
      'Run "headgate --help"',
    ],
    [
      "resolve last",
      'resolve takes the version of the row to settle, not "last"',
      'Run "headgate --help"',
    ],
    ["install", "install takes the folder to copy to, none is given", 'Run "headgate --help"'],
    ["install a b", 'install takes no argument "b"', 'Run "headgate --help"'],
    ["resolve 1 2", 'resolve takes no argument "2"', 'Run "headgate --help"'],
  ];
  test.each(table)("%s", (line, problem, hint) => {
    expect(refusal(words(line))).toMatchObject({ code: "usage", message: PREFIX + problem, hint });
  });

  test.each(["0", "-3", "1.5", "1e3", "0x2", "all", "99999999999999999999", "_"])(
    "down %s",
    (count) => {
      expect(refusal(["down", ...words(count)]).message).toStartWith(
        `${PREFIX}down takes how many to revert, 1 or more`,
      );
    },
  );
});
