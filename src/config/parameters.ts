/** Connection parameters by libpq's names, whatever they came from. */

/** The parameters that mean something here. */
export type Parameter =
  | "host"
  | "port"
  | "user"
  | "password"
  | "dbname"
  | "sslmode"
  | "sslrootcert"
  | "sslcert"
  | "sslkey"
  | "application_name"
  | "connect_timeout"
  | "options"
  | "search_path"
  | "target_session_attrs"
  | "passfile"
  | "service"
  | "servicefile";

/** A value, and where it stands for the words of an error: `sslmode in DATABASE_URL`, `PGSSLMODE`. */
export interface Setting {
  readonly value: string;
  readonly origin: string;
}

/** Never holds an empty value: to libpq an empty parameter is one that was not given. */
export type Settings = Readonly<Partial<Record<Parameter, Setting>>>;

/** What one source says about a connection. */
export interface ReadParameters {
  readonly settings: Settings;
  /** Names only, of what has no effect here although its author meant something by it. */
  readonly ignored: readonly string[];
}

const HONOURED: readonly Parameter[] = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "application_name",
  "connect_timeout",
  "options",
  "search_path",
  "target_session_attrs",
  "passfile",
  "service",
  "servicefile",
];

/** libpq's parameters whose absence changes nothing that a user could miss. */
const SILENT = `keepalives keepalives_idle keepalives_interval keepalives_count tcp_user_timeout channel_binding
  gssencmode krbsrvname gsslib gssdelegation client_encoding fallback_application_name load_balance_hosts
  sslcompression sslsni sslnegotiation sslcertmode min_protocol_version max_protocol_version`;

/** libpq's others, and those of well-known poolers, drivers and ORMs: they prove that a query begins. */
const FOREIGN = `hostaddr sslcrl sslcrldir sslpassword requirepeer require_auth replication requiressl
  ssl_min_protocol_version ssl_max_protocol_version ssl sslaccept sslidentity sslinline
  pgbouncer schema connection_limit pool_timeout socket_timeout statement_cache_size
  statement_timeout lock_timeout idle_in_transaction_session_timeout prepared_statements
  prepared_statement_cache_size pool_size pool_max_conns max_overflow default_query_exec_mode supa
  currentSchema ApplicationName loginTimeout prepareThreshold preferQueryMode pool encoding adapter
  timezone TimeZone datestyle async_fallback prepared_statement_name_func x-migrations-table`;

/** Most addresses name none of them, and are spared a table. */
function isIn(words: string, name: string): boolean {
  return words.split(/\s+/).includes(name);
}

/** drivers' `ssl=`, in sslmode's words; any other value must be one of sslmode's own. */
const SSL_WORDS: Readonly<Record<string, string>> = {
  true: "require",
  "1": "require",
  "no-verify": "require",
  false: "disable",
  "0": "disable",
};

/** True for a name that somebody is known to write into a database URL. Case matters, as in libpq. */
export function isKnownParameter(name: string): boolean {
  return isHonoured(name) || isIn(SILENT, name) || isIn(FOREIGN, name);
}

/**
 * Sorts name and value pairs into settings and ignored names. The last of two equal names wins.
 * `ssl=` stands for `sslmode=` when that is missing: to drop it would weaken a connection silently.
 */
export function sortParameters(
  pairs: readonly (readonly [name: string, value: string])[],
  originOf: (name: string) => string,
): ReadParameters {
  const settings: Partial<Record<Parameter, Setting>> = {};
  const ignored: string[] = [];
  let ssl: string | undefined;
  for (const [name, value] of pairs) {
    if (value === "") continue;
    if (isHonoured(name)) settings[name] = { value, origin: originOf(name) };
    else if (name === "ssl") ssl = value;
    else if (!ignored.includes(name) && !isIn(SILENT, name)) ignored.push(name);
  }
  return { settings: withSslMode(settings, ssl, originOf), ignored };
}

function withSslMode(
  settings: Settings,
  ssl: string | undefined,
  originOf: (name: string) => string,
): Settings {
  if (ssl === undefined || settings.sslmode !== undefined) return settings;
  return { ...settings, sslmode: { value: SSL_WORDS[ssl] ?? ssl, origin: originOf("ssl") } };
}

function isHonoured(name: string): name is Parameter {
  return (HONOURED as readonly string[]).includes(name);
}
