/** Certificates for the TLS tests, made anew by the `openssl` command: no key lies in the repository. */
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SUPERUSER } from "./postgres-admin.ts";
import { createScratchFolder } from "./scratch.ts";
import type { TlsFiles } from "./substrate.ts";

export interface TlsFixture {
  /** For `ServerOptions.tls`: a certificate for "localhost" and 127.0.0.1, and the CA that signed it. */
  readonly server: TlsFiles;
  /** A certificate for the superuser, signed by the same CA. */
  readonly client: TlsFiles;
  /** A CA that signed none of these: whoever trusts only it must refuse the server. */
  readonly otherCa: string;
  cleanup(): void;
}

/** The whole configuration, because what `openssl` takes from the system's differs between its makers. */
const CONFIG = `
[req]
distinguished_name = name
prompt = no
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1
[client]
basicConstraints = CA:false
extendedKeyUsage = clientAuth
`;

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
const VALID_DAYS = "2";

/**
 * @throws {Error} with what `openssl` said, when it is missing or refuses.
 */
export function createTlsFixture(): TlsFixture {
  const folder = createScratchFolder("tls");
  writeFileSync(join(folder, "openssl.cnf"), CONFIG);
  makeAuthority(folder, "ca");
  makeAuthority(folder, "other-ca");
  signLeaf(folder, "server", "localhost");
  signLeaf(folder, "client", SUPERUSER.user);
  const path = (name: string) => join(folder, name);
  return {
    server: { ca: path("ca.pem"), cert: path("server.pem"), key: path("server.key") },
    client: { ca: path("ca.pem"), cert: path("client.pem"), key: path("client.key") },
    otherCa: path("other-ca.pem"),
    cleanup: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function makeAuthority(folder: string, name: string): void {
  const subject = ["-subj", `/CN=headgate test ${name}`, "-days", VALID_DAYS];
  const extensions = ["-config", "openssl.cnf", "-extensions", "authority"];
  const files = ["-keyout", `${name}.key`, "-out", `${name}.pem`];
  openssl(folder, ["req", "-x509", ...NEW_KEY, ...subject, ...extensions, ...files]);
}

function signLeaf(folder: string, name: "server" | "client", commonName: string): void {
  const subject = ["-subj", `/CN=${commonName}`, "-config", "openssl.cnf"];
  openssl(folder, [
    "req",
    "-new",
    ...NEW_KEY,
    ...subject,
    "-keyout",
    `${name}.key`,
    "-out",
    `${name}.csr`,
  ]);
  const authority = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", VALID_DAYS];
  const extensions = ["-extfile", "openssl.cnf", "-extensions", name];
  openssl(folder, [
    "x509",
    "-req",
    "-in",
    `${name}.csr`,
    ...authority,
    ...extensions,
    "-out",
    `${name}.pem`,
  ]);
}

function openssl(cwd: string, args: readonly string[]): void {
  execFileSync("openssl", [...args], { cwd, stdio: "pipe" });
}
