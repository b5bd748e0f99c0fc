/** A plain probe is read without the whole parser and the whole table, and means the same. */
import { describe, expect, test } from "bun:test";
import { parseArgv } from "../../src/cli/parse-argv.ts";
import { probeFlags } from "../../src/cli/probe-argv.ts";
import { loadSettings } from "../../src/config/config.ts";
import {
  PROBE_READERS,
  PROBE_SETTINGS,
  type ProbeFlag,
  type ProbeSettings,
} from "../../src/config/probe-settings.ts";
import { type ConfigInput, readSettings } from "../../src/config/read-settings.ts";
import { SETTINGS, type SettingName } from "../../src/config/settings.ts";

const NAMES = Object.keys(PROBE_SETTINGS) as ProbeFlag[];
const TABLE = { settings: PROBE_SETTINGS, readers: PROBE_READERS };

/** As the whole parser sees it; undefined: it refuses it, or it is not a probe to be run. */
function wholly(argv: readonly string[]): unknown {
  try {
    const invocation = parseArgv(argv);
    return invocation.kind === "command" && invocation.command === "probe"
      ? invocation.flags
      : undefined;
  } catch {
    return undefined;
  }
}

test("PROBE_SETTINGS has the settings of a probe and no other", () => {
  const all = Object.keys(SETTINGS) as SettingName[];
  const ours = all.filter((name) => SETTINGS[name].commands.includes("probe"));
  expect<string[]>([...NAMES].sort()).toEqual([...ours].sort());
});

describe("probeFlags()", () => {
  test.each(["probe", "check"])("%s alone", (command) => {
    expect(probeFlags([command])).toEqual({});
  });

  test.each(NAMES)("%s in each of its forms", (name) => {
    const { flag, argument } = PROBE_SETTINGS[name];
    const value = argument === undefined ? "false" : "0012";
    expect(probeFlags(["probe", `--${flag}=${value}`])).toEqual({ [name]: value });
    expect(probeFlags(["probe", `--${flag}`, value])).toEqual({ [name]: value });
    if (argument === undefined)
      expect(probeFlags(["check", `--${flag}`])).toEqual({ [name]: "true" });
  });

  test.each([
    [[]],
    [["up"]],
    [["toString"]],
    [["probe", "--help"]],
    [["probe", "-h"]],
    [["--json", "probe"]],
    [["probe", "now"]],
    [["probe", "--"]],
    [["probe", "--atomic"]],
    [["probe", "--json", "--json"]],
    [["probe", "--json=maybe"]],
    [["probe", "--timeout"]],
    [["probe", "--timeout="]],
    [["probe", "--timeout", "--json"]],
    [["probe", "--logFormat", "json"]],
  ])("leaves %j to the whole parser", (argv) => {
    expect(probeFlags(argv)).toBeUndefined();
  });

  test("reads nothing in another way than the whole parser does", () => {
    // biome-ignore format: a list
    const pool = [
      "probe", "check", "up", "--json", "--json=true", "--json=false", "true", "false", "--timeout", "--timeout=3s", "3s",
      "0012", "1e3", "-5", "--", "-", "-h", "--dir", "--dir=a=b", "", "a b", "--require-seeds", "--no-json", "--policy", "exact",
      "--log-format", "--log-format=text", "--expect-bundle", "deadbeef", "--nonsense", "--allow-cleartext", "ä", "--ledger", "a.b",
    ];
    const random = seeded(7);
    const pick = (): string => pool[Math.floor(random() * pool.length)] ?? "";
    let plain = 0;
    for (let i = 0; i < 2000; i += 1) {
      const first = random() < 0.9 ? "probe" : pick();
      const argv = [first, ...Array.from({ length: Math.floor(random() * 5) }, pick)];
      const flags = probeFlags(argv);
      if (flags === undefined) continue;
      plain += 1;
      expect({ argv, flags: wholly(argv) }).toEqual({ argv, flags });
    }
    expect(plain).toBeGreaterThan(100);
  });
});

describe("readSettings() of a probe", () => {
  const inputs: readonly Partial<ConfigInput>[] = [
    {},
    { flags: { timeout: "2s", json: "true", policy: "exact" } },
    { flags: { timeout: "never", policy: "some", ledger: "a.b.c", expectBundle: "xyz" } },
    { env: { HEADGATE_TIMEOUT: "5s", HEADGATE_DIR: "/m", HEADGATE_LEDGER: 'app."L"' } },
    { env: { HEADGATE_LOG_LEVEL: "loud", HEADGATE_JSON: "2", HEADGATE_DEADLINE: "never" } },
    { env: { HEADGATE_ENV_FILE: "/env", HEADGATE_TIMEOUT: "" } },
    { env: { HEADGATE_ENV_FILE: "/none" } },
  ];
  const files: Readonly<Record<string, string>> = { "/env": "HEADGATE_TIMEOUT=7s\n" };

  test.each(inputs)("says what loadSettings() says: %j", (given) => {
    const input: ConfigInput = {
      command: "probe",
      flags: {},
      env: {},
      readFile: (path) => files[path],
      ...given,
    };
    const ours = (): unknown => readSettings<ProbeSettings>(TABLE, input);
    const whole = (): unknown => {
      const { settings, env } = loadSettings(input);
      const entries = NAMES.map((name) => [name, settings[name]]);
      return { settings: Object.fromEntries(entries), env };
    };
    expect(answerOf(ours)).toEqual(answerOf(whole));
  });
});

function answerOf(ask: () => unknown): unknown {
  try {
    return ask();
  } catch (error) {
    return String(error);
  }
}

/** The same every time. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}
