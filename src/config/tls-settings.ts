/** TLS settings with libpq's defaults: the files in `~/.postgresql` count when they exist. */

import type { HostPort, SslMode, Target } from "../core/target.ts";
import { type Env, envValue } from "./libpq-env.ts";
import type { Setting, Settings } from "./parameters.ts";
import type { ReadFile } from "./service-file.ts";
import { settingsError } from "./settings-error.ts";

/** A target's part that decides on TLS. */
export type TlsSettings = Pick<Target, "sslMode" | "sslRootCert" | "sslCert" | "sslKey">;

const SSL_MODES: readonly SslMode[] = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
];

const ROOT_HINT = "Set sslrootcert to a PEM file, or sslrootcert=system with sslmode=verify-full";

/**
 * Resolves mode and certificates, and reads the files. As in libpq a root certificate turns `require`
 * into `verify-ca`, `sslrootcert=system` demands `verify-full`, and sockets know no TLS at all. Unlike
 * libpq a file that was named and is missing is an error in every mode.
 *
 * @throws {HeadgateError} config-invalid for an unknown or too weak mode, or a missing file
 */
export function readTls(
  settings: Settings,
  hosts: readonly HostPort[],
  env: Env,
  readFile: ReadFile,
): TlsSettings {
  const isSystem = settings.sslrootcert?.value === "system";
  const sslMode = readMode(settings.sslmode) ?? (isSystem ? "verify-full" : "prefer");
  if (sslMode === "disable" || hosts.every(({ host }) => host.startsWith("/"))) {
    return { sslMode, sslRootCert: undefined, sslCert: undefined, sslKey: undefined };
  }
  if (isSystem && sslMode !== "verify-full") {
    throw settingsError(
      `${settings.sslmode?.origin} is too weak for sslrootcert=system`,
      "Set sslmode to verify-full",
    );
  }
  const files = fileReader(env, readFile);
  const sslRootCert = isSystem ? undefined : files(settings.sslrootcert, "root.crt");
  if (sslMode.startsWith("verify-") && sslRootCert === undefined && !isSystem) {
    throw settingsError(`${settings.sslmode?.origin} needs a root certificate`, ROOT_HINT);
  }
  return {
    sslMode: withRoot(sslMode, sslRootCert),
    sslRootCert,
    ...readClientCert(settings, files),
  };
}

function withRoot(mode: SslMode, sslRootCert: string | undefined): SslMode {
  return mode === "require" && sslRootCert !== undefined ? "verify-ca" : mode;
}

function readMode(setting: Setting | undefined): SslMode | undefined {
  if (setting === undefined) return undefined;
  const mode = SSL_MODES.find((word) => word === setting.value);
  if (mode === undefined) {
    throw settingsError(`${setting.origin} is not one of ${SSL_MODES.join(", ")}`);
  }
  return mode;
}

type ReadTlsFile = (setting: Setting | undefined, fallback: string) => string | undefined;

function fileReader(env: Env, readFile: ReadFile): ReadTlsFile {
  const home = envValue(env, "HOME");
  return (setting, fallback) => {
    if (setting === undefined) {
      return home === undefined ? undefined : readFile(`${home}/.postgresql/${fallback}`);
    }
    const text = readFile(setting.value);
    if (text === undefined)
      throw settingsError(`${setting.origin} names a file that does not exist`);
    return text;
  };
}

function readClientCert(
  settings: Settings,
  read: ReadTlsFile,
): Pick<TlsSettings, "sslCert" | "sslKey"> {
  const sslCert = read(settings.sslcert, "postgresql.crt");
  if (sslCert === undefined) return { sslCert: undefined, sslKey: undefined };
  const sslKey = read(settings.sslkey, "postgresql.key");
  if (sslKey === undefined) {
    const origin = settings.sslcert?.origin ?? "~/.postgresql/postgresql.crt";
    throw settingsError(`${origin} needs a private key`, "Set sslkey to a PEM file");
  }
  return { sslCert, sslKey };
}
