import { describe, expect, test } from "bun:test";
import {
  type Cargo,
  EMPTY_SEAL,
  headOfCargo,
  parseCargo,
  parseSeal,
  renderCargo,
  renderSeal,
  SEAL_LENGTH,
} from "../../src/core/cargo.ts";
import { checksumOf } from "../../src/core/checksum.ts";

const DIGEST = "0123456789abcdef".repeat(4);

describe("a seal", () => {
  test.each([0, 1, 112_000_000, 999_999_999_999_999])(
    "of %p bytes is read as it was written",
    (size) => {
      const text = renderSeal({ size, digest: DIGEST });
      expect(text).toHaveLength(SEAL_LENGTH);
      expect(parseSeal(text)).toEqual({ size, digest: DIGEST });
    },
  );

  test("of nothing has the digest of nothing", () => {
    expect(parseSeal(EMPTY_SEAL)).toEqual({ size: 0, digest: checksumOf("") });
  });

  const whole = renderSeal({ size: 7, digest: DIGEST });
  test.each([
    ["nothing", ""],
    ["a part", whole.slice(1)],
    ["more", `${whole}\n`],
    ["another layout", whole.replace("seal 1", "seal 2")],
    ["a digest in capitals", whole.toUpperCase().replace("HEADGATE-SEAL", "headgate-seal")],
    ["a size that is no number", whole.replace("0000007", "000000x")],
  ])("is not %s", (_what, text) => {
    expect(parseSeal(text)).toBeUndefined();
  });
});

test("a cargo is read as it was written, and its head without the rest", () => {
  const cargo: Cargo = {
    head: { version: 2, history: DIGEST, size: 1 },
    migrations: [{ file: "2_a.sql", text: "select 'é\n\u2028'; -- \u0000\n" }],
    seeds: [{ file: "s.sql", text: "select 1" }],
  };
  const text = renderCargo(cargo);
  expect(parseCargo(text)).toEqual(cargo);
  expect(headOfCargo(text.slice(0, text.indexOf("\n") + 1))).toEqual(cargo.head);
});
