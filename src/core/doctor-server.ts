/** Judges the version and the settings of a server. */
import { type Finding, literal } from "./doctor.ts";
import { quoteIdentifier } from "./identifier.ts";

/** A setting as a new session has it. */
export interface ServerSetting {
  readonly name: string;
  /** As `pg_settings.setting`: 0 where none is set. */
  readonly value: string;
  /** As `pg_settings.source`: `user`, `database`, `configuration file`. */
  readonly source: string;
}

/** Who is logged in where, and how the session is set. */
export interface ServerFacts {
  /** As `server_version_num`. */
  readonly version: number;
  readonly role: string;
  readonly database: string;
  readonly settings: readonly ServerSetting[];
}

const OLDEST_VERSION = 140_000;

/** Version and settings. */
export function judgeServer(facts: ServerFacts): readonly Finding[] {
  const old: Finding = {
    check: "server-version",
    severity: "warning",
    what: `The server is of version ${Math.floor(facts.version / 10_000)}`,
    why: "Before 14 a server does not notice that a client is gone while a statement runs",
    remedy: "Use PostgreSQL 14 or newer",
  };
  const findings = facts.settings.flatMap((setting) => judgeSetting(setting, facts));
  return facts.version < OLDEST_VERSION ? [old, ...findings] : findings;
}

interface Rule {
  readonly severity: Finding["severity"];
  readonly isHarmless: (value: string) => boolean;
  readonly why: string;
}

const isOff = (value: string): boolean => value === "0";

/** By setting: when it hurts, and whom. Inside the gate headgate sets its own by SET LOCAL. */
const RULES: Readonly<Record<string, Rule>> = {
  client_connection_check_interval: {
    severity: "note",
    isHarmless: (value) => value !== "0",
    why: "Without it a statement whose client is gone runs on to its end, and keeps its locks. Inside the gate headgate sets 2 s; other clients, and statements outside a transaction, have none",
  },
  statement_timeout: {
    severity: "warning",
    isHarmless: isOff,
    why: "It ends what must run outside a transaction, such as CREATE INDEX CONCURRENTLY, and leaves an invalid index. In a transaction headgate sets its own",
  },
  lock_timeout: {
    severity: "warning",
    isHarmless: isOff,
    why: "It ends what must run outside a transaction, such as CREATE INDEX CONCURRENTLY, and leaves an invalid index. In a transaction headgate sets its own",
  },
  transaction_timeout: {
    severity: "warning",
    isHarmless: isOff,
    why: "It ends what must run outside a transaction, such as CREATE INDEX CONCURRENTLY, and leaves an invalid index. In a transaction headgate sets its own",
  },
  idle_in_transaction_session_timeout: {
    severity: "note",
    isHarmless: isOff,
    why: "headgate sets 30 s in the gate whatever it is; other tools that think inside a transaction are ended",
  },
  idle_session_timeout: {
    severity: "warning",
    isHarmless: isOff,
    why: "It ends sessions that a pooler keeps for the next client, and other tools' session locks with them",
  },
  default_transaction_read_only: {
    severity: "error",
    isHarmless: (value) => value === "off",
    why: "No migration and no ledger row can be written (SQLSTATE 25006)",
  },
  default_transaction_isolation: {
    severity: "note",
    isHarmless: (value) => value === "read committed",
    why: "headgate asks for read committed in every transaction; in other tools an idle transaction then keeps its snapshot, which hangs CREATE INDEX CONCURRENTLY",
  },
};

/** The settings to read. */
export const JUDGED_SETTINGS: readonly string[] = Object.keys(RULES);

function judgeSetting(setting: ServerSetting, facts: ServerFacts): readonly Finding[] {
  const rule = RULES[setting.name];
  if (rule === undefined || rule.isHarmless(setting.value)) return [];
  return [
    {
      check: "settings",
      severity: rule.severity,
      what: `${setting.name} is ${literal(setting.value)}, from: ${setting.source}`,
      why: rule.why,
      remedy: remedyFor(setting, facts),
    },
  ];
}

function remedyFor({ name, source }: ServerSetting, { role, database }: ServerFacts): string {
  if (name === "client_connection_check_interval") {
    return `As a superuser: alter database ${quoteIdentifier(database)} set ${name} = '2s'`;
  }
  switch (source) {
    case "user":
      return `alter role ${quoteIdentifier(role)} reset ${name}`;
    case "database":
      return `alter database ${quoteIdentifier(database)} reset ${name}`;
    case "database user":
      return `alter role ${quoteIdentifier(role)} in database ${quoteIdentifier(database)} reset ${name}`;
    case "session":
      return "Another client set it on this pooled session: let that client use SET LOCAL, or reconnect the pooler's sessions";
    default:
      return `alter role ${quoteIdentifier(role)} set ${name} = ${literal(name === "default_transaction_isolation" ? "read committed" : neutral(name))}`;
  }
}

function neutral(name: string): string {
  return name === "default_transaction_read_only" ? "off" : "0";
}
