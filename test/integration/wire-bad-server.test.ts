/**
 * The small client, and where it matters the general one, before a server that speaks badly: cuts,
 * changes, delays or makes up what a real one says. No answer is taken that was not given, and every
 * call ends within its time.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect, type Socket } from "node:net";
import { type Change, damageOne, openAnswerRelay } from "../support/answer-relay.ts";
import { query } from "../support/query.ts";
import { openStub } from "../support/stub-server.ts";
import { openSubstrate, type PostgresServer, type Substrate } from "../support/substrate.ts";
import {
  askOne,
  mutate,
  type Outcome,
  PASSWORD,
  randomOf,
  rowsOf,
  type Wish,
} from "../support/two-clients.ts";

const BUDGET_MS = { login: 150, answer: 400 };
/** Ten times the budget: a call that is still waiting then, waits for ever. */
const HANG_MS = 10 * (BUDGET_MS.login + BUDGET_MS.answer);
const AT_ONCE = 32;
const SEED = 20_261_122;
/** What is asked for here, and nobody could guess. */
const SECRET = "5f0e7c1d9b3a";

type Rows = { readonly rows: readonly unknown[]; readonly tag: string };
type Which = "small" | "general";

let substrate: Substrate;
let server: PostgresServer;

beforeAll(async () => {
  substrate = await openSubstrate("local");
  server = await substrate.postgres({ hba: ["host all trust_user all trust"] });
  const { url } = await server.createDatabase();
  await query(url, "create role trust_user login");
  await query(url, `create role scram_user login password '${PASSWORD}'`);
}, 120_000);

afterAll(() => substrate?.close(), 60_000);

/** Within the budget: what does not end at all is an outcome of its own. */
async function ask(which: Which, wish: Wish, text: string): Promise<Outcome<Rows> | "hangs"> {
  const late = Promise.withResolvers<"hangs">();
  const timer = setTimeout(() => late.resolve("hangs"), HANG_MS);
  const bounded = { connectTimeoutMs: BUDGET_MS.login, ...wish };
  try {
    const answer = askOne(which, bounded, rowsOf(text, BUDGET_MS.answer));
    return await Promise.race([answer, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Many at a time, in order. */
async function inTurns<T, U>(items: readonly T[], work: (item: T) => Promise<U>): Promise<U[]> {
  const results: U[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  }
  return results;
}

type Send = (socket: Socket, bytes: Buffer) => void;
const SEND: Send = (socket, bytes) => void socket.write(bytes);
const SEND_AND_END: Send = (socket, bytes) => void socket.end(bytes);

/** A message of the protocol: type, length, body. */
function message(type: string, body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(body.length + 4, 0);
  return Buffer.concat([Buffer.from(type, "latin1"), length, body]);
}

/** What a server that lets everybody in says, to any client: a login, then one row. */
async function recordedAnswers(): Promise<readonly [login: Buffer, answer: Buffer]> {
  const socket = connect(server.port, server.host);
  const answerTo = async (question: Buffer): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    socket.write(question);
    while (chunks.at(-1)?.subarray(-6, -5).toString() !== "Z") {
      chunks.push(await new Promise<Buffer>((resolve) => socket.once("data", resolve)));
    }
    return Buffer.concat(chunks);
  };
  const version = Buffer.from([0, 3, 0, 0]);
  const account = Buffer.from("user\0trust_user\0database\0postgres\0\0");
  const login = await answerTo(message("", Buffer.concat([version, account])));
  const answer = await answerTo(message("Q", Buffer.from("select 14 as head\0")));
  socket.destroy();
  return [login, answer];
}

/** Asks a server that gives these bytes to the first and the second piece of what it hears. */
async function askScripted(
  script: readonly Buffer[],
  send: Send,
  which: Which = "small",
): Promise<Outcome<Rows> | "hangs"> {
  const turns = new WeakMap<Socket, number>();
  const stub = await openStub({
    onData: (socket) => {
      const turn = turns.get(socket) ?? 0;
      turns.set(socket, turn + 1);
      const bytes = script[turn];
      if (bytes) send(socket, bytes);
    },
  });
  const address = { host: "127.0.0.1", port: stub.port };
  try {
    return await ask(which, { server: address, user: "trust_user" }, "select");
  } finally {
    await stub.close();
  }
}

describe("made-up answers", () => {
  const good = { rows: [{ head: 14 }], tag: "SELECT" };

  test.each(["small", "general"] as const)(
    "the %s client takes a byte at a time",
    async (which) => {
      const script = await recordedAnswers();
      const outcome = await askScripted(
        script,
        (socket, bytes) => {
          socket.setNoDelay(true);
          for (const byte of bytes) socket.write(Buffer.from([byte]));
        },
        which,
      );
      expect(outcome).toEqual(good);
    },
  );

  test("an answer cut at any byte is never taken for one", async () => {
    const [login, answer] = await recordedAnswers();
    const scripts = [
      ...Array.from(login, (_byte, at) => [login.subarray(0, at)]),
      ...Array.from(answer, (_byte, at) => [login, answer.subarray(0, at)]),
    ];
    const outcomes = await inTurns(scripts, (script) => askScripted(script, SEND_AND_END));
    for (const outcome of outcomes) expect(outcome).toHaveProperty("kind");
  });

  test("mutated answers end in an answer or an error, and a head is only one that was sent", async () => {
    const script = await recordedAnswers();
    const next = randomOf(SEED);
    const scripts = Array.from({ length: 384 }, () => script.map((bytes) => mutate(bytes, next)));
    const outcomes = await inTurns(scripts, (each) => askScripted(each, SEND_AND_END));
    expect(outcomes).not.toContain("hangs");
    const invented = outcomes.filter(
      (outcome, i) => !scripts[i]?.[1]?.includes(headIn(outcome)) && headIn(outcome) !== "",
    );
    expect(invented).toEqual([]);
  });

  const request = (code: number, more = ""): Buffer =>
    message("R", Buffer.concat([Buffer.from([0, 0, 0, code]), Buffer.from(more)]));
  const table: readonly [what: string, bytes: Buffer, kind: string, isSame: boolean][] = [
    ["is no PostgreSQL", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), "connect", true],
    ["is silent", Buffer.alloc(0), "connect", true],
    ["announces a huge message", Buffer.from("R\x7f\xff\xff\xff", "latin1"), "connect", true],
    ["asks for GSSAPI", request(7), "authentication", true],
    ["asks for SSPI", request(9), "authentication", true],
    ["asks for Kerberos", request(2), "authentication", true],
    ["asks for what there never was", request(99), "authentication", true],
    ["offers OAuth alone", request(10, "OAUTHBEARER\0\0"), "authentication", false],
    [
      "offers channel binding alone",
      request(10, "SCRAM-SHA-256-PLUS\0\0"),
      "authentication",
      false,
    ],
    ["continues what was not begun", request(11, "r=x,s=eA==,i=1"), "connect", false],
    ["ends what was not begun", request(12, "v=eA=="), "connect", false],
    ["speaks before the login", message("Z", Buffer.from("I")), "connect", false],
  ];
  test.each(table)("a server that %s", async (_what, bytes, kind, isSame) => {
    const small = await askScripted([bytes], SEND);
    expect(small).toMatchObject({ kind });
    if (isSame) expect(await askScripted([bytes], SEND, "general")).toEqual(small);
  });
});

/** "" when there is no row, or one that has no such column. */
function headIn(outcome: Outcome<Rows> | "hangs"): string {
  if (typeof outcome === "string" || !("rows" in outcome)) return "";
  const [row] = outcome.rows as readonly Readonly<Record<string, unknown>>[];
  const head = row?.["head"];
  return typeof head === "number" && !Number.isNaN(head) ? String(head) : "";
}

/** Asks for the secret through a relay that does this to what a real server says, with SCRAM. */
async function askThrough(
  change: Change,
  which: Which = "small",
  wish: Partial<Wish> = {},
): Promise<Outcome<Rows> | "hangs"> {
  const relay = await openAnswerRelay(server, change);
  try {
    return await ask(which, { server: relay, ...wish }, `select '${SECRET}' as secret`);
  } finally {
    await relay.close();
  }
}

describe("a real server's answers, on their way", () => {
  const good = { rows: [{ secret: SECRET }], tag: "SELECT" };

  test.each(["small", "general"] as const)(
    "the %s client logs in a byte at a time",
    async (which) => {
      const slowly: Change = (client, bytes) => {
        for (const byte of bytes) client.write(Buffer.from([byte]));
      };
      const outcome = await askThrough(slowly, which, { connectTimeoutMs: HANG_MS });
      expect(outcome).toEqual(good);
    },
  );

  test("a login cut at any byte is an error to both", async () => {
    // Up to the end of what authenticates; the rest is the same as without a password.
    const cuts = Array.from({ length: 220 }, (_each, at) => at);
    const cutAt =
      (at: number): Change =>
      (client, bytes, before): void => {
        if (before + bytes.length < at) client.write(bytes);
        else client.end(bytes.subarray(0, at - before));
      };
    const small = await inTurns(cuts, (at) => askThrough(cutAt(at)));
    const few = cuts.filter((at) => at % 11 === 0);
    const general = await inTurns(few, (at) => askThrough(cutAt(at), "general"));
    for (const outcome of [...small, ...general]) expect(outcome).toHaveProperty("kind");
  });

  test("a login that was tampered with is no login, and nothing hangs", async () => {
    const next = randomOf(SEED);
    const changes = Array.from({ length: 192 }, () => damageOne(randomOf(next() * 2 ** 32)));
    const outcomes = await inTurns(changes, (change) => askThrough(change));
    expect(outcomes).not.toContain("hangs");
    const answers = outcomes.filter((outcome) => typeof outcome === "object" && "rows" in outcome);
    // A mutation may hit what nobody reads, or nothing at all; both sides must be there to say anything.
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.length).toBeLessThan(outcomes.length);
  });

  test("a server that does not know the password is not believed", async () => {
    const change: Change = (client, bytes) => {
      const at = bytes.indexOf("v=");
      if (bytes[0] === "R".charCodeAt(0) && at > 0) bytes[at + 2] = bytes[at + 2] === 65 ? 66 : 65;
      client.write(bytes);
    };
    expect(await askThrough(change)).toMatchObject({ kind: "connect" });
    expect(await askThrough(change, "general")).toHaveProperty("kind");
  });
});
