/** From the first message to the first "ready" (protocol section "Start-up"). */
import { DbError } from "../core/db-error.ts";
import type { Target } from "../core/target.ts";
import type { WirePort } from "../ports.ts";
import type { Channel } from "./channel.ts";
import { password, saslInitial, saslResponse, startup } from "./messages.ts";
import { Fields, type Message, serverErrorOf } from "./reader.ts";
import { openScram, type Scram } from "./scram.ts";
import { decode, encode } from "./text.ts";

/** Section "Message Formats", the codes of an authentication request. */
const OK = 0;
const CLEARTEXT = 3;
const MD5 = 5;
const SASL = 10;
const SASL_CONTINUE = 11;
const SASL_FINAL = 12;
const SALT_SIZE = 4;

/** Who comes, and what is told of it. */
export interface LoginWish {
  readonly target: Target;
  readonly applicationName: string;
  readonly digests: Omit<WirePort, "dial">;
  readonly onNotice: (message: string) => void;
}

/**
 * Logs in. Gives the process that the server names.
 *
 * @throws {DbError} `server` as the server says; `authentication`, `cleartext`, `connect` for what is
 *   refused here.
 */
export async function logIn(channel: Channel, wish: LoginWish): Promise<number | undefined> {
  const { target, applicationName } = wish;
  const { user, database } = target;
  channel.write(startup({ user, database, application_name: applicationName }));
  const login: Login = { channel, wish, scram: undefined, isTrusted: false };
  let pid: number | undefined;
  for (;;) {
    const message = await channel.next();
    if (message.type === "Z" && login.isTrusted) return pid;
    if (message.type === "K" && login.isTrusted) pid = new Fields(message.body).int32();
    else await hear(login, message);
  }
}

async function hear(login: Login, { type, body }: Message): Promise<void> {
  switch (type) {
    case "E":
      throw refusal(body);
    case "N":
      login.wish.onNotice(serverErrorOf(body).message);
      return;
    case "R":
      return authenticate(login, new Fields(body));
    default:
      // Parameters, and whatever a later version says of itself.
      if (!login.isTrusted) throw unexpected(type);
  }
}

interface Login {
  readonly channel: Channel;
  readonly wish: LoginWish;
  scram: Scram | undefined;
  /** The server said that we are in, after all that it had to prove. */
  isTrusted: boolean;
}

async function authenticate(login: Login, fields: Fields): Promise<void> {
  const { channel, wish } = login;
  const code = fields.int32();
  switch (code) {
    case OK:
      return trust(login);
    case CLEARTEXT:
      if (!channel.isPrivate && !wish.target.allowCleartext) throw cleartext();
      return channel.write(password(wish.target.password ?? ""));
    case MD5:
      return channel.write(password(md5Of(wish, fields.bytes(SALT_SIZE))));
    case SASL:
      return greet(login, mechanismsOf(fields));
    case SASL_CONTINUE:
      return channel.write(saslResponse(await scramOf(login).answer(restOf(fields))));
    case SASL_FINAL:
      scramOf(login).verify(restOf(fields));
      login.scram = undefined;
      return;
    default:
      throw unknownMethod(code);
  }
}

function trust(login: Login): void {
  if (login.scram) throw new DbError("connect", "the server did not prove that it knows us");
  login.isTrusted = true;
}

function scramOf({ scram }: Login): Scram {
  if (scram) return scram;
  throw unexpected("R");
}

async function greet(login: Login, mechanisms: readonly string[]): Promise<void> {
  const { channel, wish } = login;
  const binding = channel.certificate && (await bindingTo(channel.certificate));
  login.scram = openScram(wish.digests, wish.target.password ?? "", { mechanisms, binding });
  channel.write(saslInitial(login.scram.mechanism, login.scram.first));
}

async function bindingTo(certificate: Uint8Array): Promise<Uint8Array | undefined> {
  const { channelBinding } = await import("./channel-binding.ts");
  return channelBinding(certificate);
}

function mechanismsOf(fields: Fields): readonly string[] {
  const names: string[] = [];
  for (let name = fields.text(); name !== ""; name = fields.text()) names.push(name);
  return names;
}

function restOf(fields: Fields): string {
  return decode(fields.rest());
}

/** Section "AuthenticationMD5Password": md5(md5(password + user) + salt). */
function md5Of({ digests: { md5 }, target }: LoginWish, salt: Uint8Array): string {
  const hex = (bytes: Uint8Array): string =>
    Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const inner = hex(md5(encode((target.password ?? "") + target.user)));
  return `md5${hex(md5(new Uint8Array([...encode(inner), ...salt])))}`;
}

function refusal(body: Message["body"]): DbError {
  const { message, server } = serverErrorOf(body);
  return new DbError("server", message, { server });
}

function unknownMethod(code: number): DbError {
  return new DbError(
    "authentication",
    `the server asks for an authentication method that headgate does not have (code ${code}: GSSAPI, SSPI or another)`,
  );
}

function cleartext(): DbError {
  return new DbError(
    "cleartext",
    "the server asks for a cleartext password on an unencrypted connection",
  );
}

function unexpected(type: string): DbError {
  return new DbError("connect", `the server says ${JSON.stringify(type)} before we are logged in`);
}
