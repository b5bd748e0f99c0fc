/** Where the database is and how to reach it. */

import type { NonEmpty } from "./migration.ts";

/** libpq's words, weakest first. */
export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

/** A host that starts with "/" is the directory of a Unix socket. IPv6 stands without brackets. */
export interface HostPort {
  readonly host: string;
  /** 1..65535; with a socket directory it is part of the socket's name. */
  readonly port: number;
}

/** One database as one role, fully resolved: nothing of it is looked up again later. */
export interface Target {
  /** In the order in which they are to be tried. */
  readonly hosts: NonEmpty<HostPort>;
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  readonly sslMode: SslMode;
  /** PEM text. Undefined under `verify-full`: the runtime's own store; under any other mode: no check. */
  readonly sslRootCert: string | undefined;
  /** PEM text; never without `sslKey`. */
  readonly sslCert: string | undefined;
  /** PEM text, a secret. */
  readonly sslKey: string | undefined;
  /** Undefined: the settings say nothing, or say "no bound". 1000..2147483000. */
  readonly connectTimeoutMs: number | undefined;
  readonly applicationName: string | undefined;
  /** As the server would read it: `app, public`. Never a startup parameter: poolers refuse it. */
  readonly searchPath: string | undefined;
  /** Startup parameters to try, by which `doctor` learns what a pooler refuses. */
  readonly startup?: Readonly<Record<string, string>>;
  /** A password may cross the network without TLS and without SCRAM or md5. */
  readonly allowCleartext: boolean;
  /** What decided: `DATABASE_URL`, `--database-url-file`, `PGHOST, PGUSER`. */
  readonly source: string;
}

/** Whether a connection without TLS is none at all. */
export function demandsTls({ sslMode }: Pick<Target, "sslMode">): boolean {
  return sslMode !== "prefer" && sslMode !== "allow";
}

/**
 * Names a target for logs and errors, without any secret.
 *
 * @example
 * ```ts
 * describeTarget({ hosts: [{ host: "db", port: 5432 }], database: "app", user: "me" }); // "db:5432/app as me"
 * ```
 */
export function describeTarget(target: Pick<Target, "hosts" | "database" | "user">): string {
  const hosts = target.hosts.map(({ host, port }) => {
    const isIpv6 = host.includes(":") && !host.startsWith("/");
    return `${isIpv6 ? `[${host}]` : host}:${port}`;
  });
  return `${hosts.join(",")}/${target.database} as ${target.user}`;
}
