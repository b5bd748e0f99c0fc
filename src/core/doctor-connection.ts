/** Judges clock and encryption of a connection. */
import type { Finding } from "./doctor.ts";
import type { Target } from "./target.ts";

/** The server's clock, and ours around the question. Milliseconds since 1970. */
export interface ClockSight {
  readonly serverMs: number;
  readonly beforeMs: number;
  readonly afterMs: number;
}

const SKEW_MAX_MS = 5000;

/** The answer may have been made at any time between question and answer. */
export function judgeClock({ serverMs, beforeMs, afterMs }: ClockSight): readonly Finding[] {
  const skewMs = Math.round(
    serverMs > afterMs ? serverMs - afterMs : Math.min(serverMs - beforeMs, 0),
  );
  if (Math.abs(skewMs) <= SKEW_MAX_MS) return [];
  const way = skewMs > 0 ? "ahead of" : "behind";
  return [
    {
      check: "clock",
      severity: "warning",
      what: `The server's clock is ${Math.abs(skewMs)} ms ${way} this machine's`,
      why: "Times of the logs and times of the ledger do not fit together; headgate itself compares the server's times only",
      remedy: "Let both machines follow the same time server",
    },
  ];
}

/** How the connection is protected, as far as it can be known. */
export interface TlsSight {
  readonly target: Pick<Target, "hosts" | "sslMode" | "source">;
  /** What the server says of the session that answered. */
  readonly isEncrypted: boolean;
  readonly isPooled: boolean;
}

const DEMANDING: ReadonlySet<string> = new Set(["require", "verify-ca", "verify-full"]);
const LOOPBACK: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "::1"]);

/** A pooler hides whether our own leg is encrypted, unless the mode demands it. */
export function judgeTls({ target, isEncrypted, isPooled }: TlsSight): readonly Finding[] {
  const { source, sslMode } = target;
  const isLocal = target.hosts.every(({ host }) => host.startsWith("/") || LOOPBACK.has(host));
  const finding = {
    check: "tls",
    severity: isLocal ? "note" : "warning",
    remedy: `Turn TLS on at the server, and set sslmode=verify-full with its CA for ${source}`,
  } as const;
  const isDemanded = DEMANDING.has(sslMode);
  if (isPooled && !isDemanded) {
    return [
      {
        ...finding,
        severity: "note",
        what: `Whether the way to the pooler of ${source} is encrypted is unproven: sslmode=${sslMode} demands nothing`,
        why: "Queries and data may be read on the way",
      },
    ];
  }
  if (!isDemanded && !isEncrypted) {
    return [
      {
        ...finding,
        what: `The connection of ${source} is not encrypted (sslmode=${sslMode})`,
        why: isLocal
          ? "It does not leave this machine"
          : "Queries and data can be read, and the server is not verified",
      },
    ];
  }
  if (sslMode.startsWith("verify")) return [];
  return [
    {
      ...finding,
      severity: "note",
      what: `The connection of ${source} is encrypted, but the server is not verified (sslmode=${sslMode})`,
      why: "Whoever can redirect it can pose as the server",
    },
  ];
}
