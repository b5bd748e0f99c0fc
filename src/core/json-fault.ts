/**
 * Where a text stops being JSON. The engines' own messages do not help: one gives no place, another
 * quotes the text, and a file named by mistake may hold a secret.
 */

type State =
  | "start"
  | "first-item"
  | "item"
  | "after-item"
  | "first-key"
  | "key"
  | "after-key"
  | "member"
  | "after-member"
  | "end";

/** What may come in a state, and the state after it; `closes` ends the array or object instead. */
interface Step {
  readonly takes: string;
  readonly next: State;
  readonly closes?: string;
}

/** Everything but blanks is in a token. */
const TOKEN = /[[\]{},:]|"(?:[^"\\\n]|\\.)*"?|[^ \t\r\n[\]{},:"]+/g;
/** As `kindOf` says it. */
const VALUE = "[{sv";

const STEPS: Readonly<Record<State, Step>> = {
  start: { takes: VALUE, next: "end" },
  "first-item": { takes: VALUE, next: "after-item", closes: "]" },
  item: { takes: VALUE, next: "after-item" },
  "after-item": { takes: ",", next: "item", closes: "]" },
  "first-key": { takes: "s", next: "after-key", closes: "}" },
  key: { takes: "s", next: "after-key" },
  "after-key": { takes: ":", next: "member" },
  member: { takes: VALUE, next: "after-member" },
  "after-member": { takes: ",", next: "key", closes: "}" },
  end: { takes: "", next: "end" },
};

const INSIDE: Readonly<Record<string, readonly State[]>> = {
  "[": ["first-item"],
  "{": ["first-key"],
};

/**
 * The offset of the first token that cannot stand where it does; the text's length when the text only
 * ends too early.
 *
 * @example
 * ```ts
 * findJsonFault("[1, 2,]"); // 6
 * ```
 */
export function findJsonFault(text: string): number {
  const levels: State[] = ["start"];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    const step: Step = STEPS[levels.pop() ?? "end"];
    const kind = kindOf(token);
    if (kind === step.closes) continue;
    if (!step.takes.includes(kind)) return index;
    levels.push(step.next, ...(INSIDE[kind] ?? []));
  }
  return text.length;
}

/** Punctuation as it is; `s` is a string, `v` another scalar, `?` neither. */
function kindOf(token: string): string {
  if (/^[[\]{},:]$/.test(token)) return token;
  try {
    return typeof JSON.parse(token) === "string" ? "s" : "v";
  } catch {
    return "?";
  }
}
