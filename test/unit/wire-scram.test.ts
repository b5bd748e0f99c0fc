import { describe, expect, test } from "bun:test";
import { BUN_WIRE } from "../../src/runtime/bun.ts";
import { channelBinding } from "../../src/wire/channel-binding.ts";
import { saslprep } from "../../src/wire/saslprep.ts";
import { openScram, type Scram } from "../../src/wire/scram.ts";

/** RFC 7677 section 3, with the empty user name that PostgreSQL is given. */
const NONCE = "rOprNGfwEbeRWgbNEkqO";
const FULL_NONCE = `${NONCE}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0`;
const CHALLENGE = `r=${FULL_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`;
/** By another implementation: HMAC and PBKDF2 of Python's standard library. */
const PROOF = "qvT2SWdEH5Q06albL+hjSYuUhCG7VndFyzIb7CK4n9k=";
const SIGNATURE = "3HO6Qt1M4MKJrmlKaoOqLAI0/0TV0HZe7J9H3MBtSOg=";
const PLAIN = ["SCRAM-SHA-256"];
const BOTH = ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"];
const BINDING = new Uint8Array([1, 2, 3]);

function open(mechanisms: readonly string[], binding?: Uint8Array): Scram {
  return openScram(BUN_WIRE, "pencil", { mechanisms, binding }, NONCE);
}

describe("SCRAM-SHA-256", () => {
  test("begins with our nonce, and what it binds to", () => {
    expect(open(PLAIN).first).toBe(`n,,n=,r=${NONCE}`);
    expect(open(PLAIN, BINDING).first).toBe(`y,,n=,r=${NONCE}`);
    expect(open(BOTH).first).toBe(`n,,n=,r=${NONCE}`);
    expect(open(BOTH, BINDING).first).toBe(`p=tls-server-end-point,,n=,r=${NONCE}`);
    expect(open(BOTH, BINDING).mechanism).toBe("SCRAM-SHA-256-PLUS");
  });

  test("proves the password, and knows the server by its signature", async () => {
    const scram = open(PLAIN);
    const answer = await scram.answer(CHALLENGE);
    expect(answer).toStartWith(`c=biws,r=${FULL_NONCE},p=`);
    expect(answer).toBe(`c=biws,r=${FULL_NONCE},p=${PROOF}`);
    expect(() => scram.verify(`v=${SIGNATURE}`)).not.toThrow();
  });

  test("sends what it binds to, behind the header", async () => {
    const answer = await open(BOTH, BINDING).answer(CHALLENGE);
    expect(atob(/c=([^,]*)/.exec(answer)?.[1] ?? "")).toBe("p=tls-server-end-point,,\x01\x02\x03");
  });

  test.each([
    ["a wrong signature", `v=${btoa("0".repeat(32))}`],
    ["no signature", ""],
    ["an error", "e=other-error"],
  ])("does not trust a server with %s", async (_what, final) => {
    const scram = open(PLAIN);
    await scram.answer(CHALLENGE);
    expect(() => scram.verify(final)).toThrow("signature");
  });

  test("does not trust a signature before the challenge", () => {
    expect(() => open(PLAIN).verify("v=undefined")).toThrow("signature");
  });

  test.each([
    ["another nonce", CHALLENGE.replace(NONCE, "other")],
    ["our nonce alone", CHALLENGE.replace(FULL_NONCE, NONCE)],
    ["no iterations", CHALLENGE.replace("i=4096", "i=0")],
    ["a salt that is none", CHALLENGE.replace("W22Z", "????")],
    ["nothing", ""],
  ])("refuses a challenge with %s", (_what, challenge) => {
    expect(open(PLAIN).answer(challenge)).rejects.toThrow("SCRAM");
  });

  test("refuses mechanisms that it does not have", () => {
    expect(() => open(["OAUTHBEARER"])).toThrow("OAUTHBEARER");
    expect(() => open(["SCRAM-SHA-256-PLUS"])).toThrow("SCRAM-SHA-256-PLUS");
  });
});

describe("saslprep()", () => {
  test.each([
    ["pencil", "pencil"],
    ["I\u00adX", "IX"],
    ["\u00aa", "a"],
    ["\u2168", "IX"],
    ["a\u00a0b", "a b"],
    ["pässwörd", "pässwörd"],
    ["\u0007bell", "\u0007bell"],
    ["ä\u0007", "ä\u0007"],
    ["\u0627\u0031", "\u0627\u0031"],
    ["\u0627a\u0628", "\u0627a\u0628"],
    ["\u00ad", "\u00ad"],
  ])("%p becomes %p", (password, prepared) => {
    expect(saslprep(password)).toBe(prepared);
  });
});

describe("channelBinding()", () => {
  test("of what is no certificate is none", async () => {
    for (const bytes of [undefined, new Uint8Array(), new Uint8Array([0x30, 0x84, 255, 255])]) {
      expect(await channelBinding(bytes)).toBeUndefined();
    }
  });
});
