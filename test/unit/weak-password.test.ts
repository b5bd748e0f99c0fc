import { describe, expect, test } from "bun:test";
import { weaknessOf } from "../../src/core/weak-password.ts";

const EMAIL = "jane.doe@example.com";
const PLACEHOLDER = "is a well-known placeholder";
const FROM_EMAIL = "is the e-mail address or its local part";
const SHORT = "has fewer than 8 characters";

describe("weaknessOf()", () => {
  const table: readonly [password: string, weakness: string | undefined][] = [
    ["changeme", PLACEHOLDER],
    ["CHANGEME", PLACEHOLDER],
    ["ChangeMe123", PLACEHOLDER],
    ["changeme!", PLACEHOLDER],
    ["changeme1!2024", PLACEHOLDER],
    ["change-me", PLACEHOLDER],
    ["Change_Me!", PLACEHOLDER],
    [" changeme ", PLACEHOLDER],
    ["password", PLACEHOLDER],
    ["P@ssw0rd1", PLACEHOLDER],
    ["admin", PLACEHOLDER],
    ["Administrator2024!", PLACEHOLDER],
    ["secret", PLACEHOLDER],
    ["LetMeIn!!", PLACEHOLDER],
    ["123456", PLACEHOLDER],
    ["12345678", PLACEHOLDER],
    ["1234567890!", PLACEHOLDER],
    [EMAIL, FROM_EMAIL],
    ["Jane.Doe@Example.com", FROM_EMAIL],
    ["jane.doe", FROM_EMAIL],
    ["JANE.DOE99!", FROM_EMAIL],
    ["xK9$vq", SHORT],
    ["xK9$vq2", SHORT],
    ["🔑🔑🔑🔑", SHORT],
    ["xK9$vq2m", undefined],
    ["correct horse battery staple", undefined],
    ["changeme-not-anymore", undefined],
    ["my password is long", undefined],
    ["84920175638201", undefined],
    ["1jane.doe", undefined],
  ];
  test.each(table)("of %p: %p", (password, weakness) => {
    expect(weaknessOf(password, EMAIL)).toBe(weakness as string);
  });

  test("never shows the password", () => {
    for (const [password] of table) {
      const shown = weaknessOf(password, EMAIL) ?? "";
      expect(shown.split(" ")).not.toContain(password.trim());
    }
  });
});
