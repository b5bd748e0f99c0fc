/** The whole story as a Compose file: server, pooler, one that migrates, replicas that wait for it. */
import { skips, type Wiring } from "./wiring.ts";
import { comment } from "./wiring-notes.ts";
import { renderYaml } from "./yaml.ts";

const DATABASE = "app";
const USER = "app";
const PASSWORD = "$" + "{POSTGRES_PASSWORD:-fixture-only}";
const DIRECT = `postgres://${USER}:${PASSWORD}@postgres:5432/${DATABASE}`;
const POOLED = `postgres://${USER}:${PASSWORD}@pgbouncer:5432/${DATABASE}`;
const BIN = "headgate-bin";
const IN_IMAGE = "/headgate";
const LOCKED = { read_only: true, cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] };

const BANNER: readonly string[] = [
  "TEST FIXTURE ONLY: a well-known password, a server and a pooler without TLS and without a volume.",
  "Ports are bound to 127.0.0.1. For production take the services migrate and app, and your own database.",
  "",
  'Printed by "headgate manifest compose". docker compose up --detach brings it up: PostgreSQL, PgBouncer',
  "in transaction mode with fewer connections than clients, one service that migrates directly, and",
];

/** `stand-in`: there is no application's image, and headgate itself sleeps in its place. */
export function renderCompose(wiring: Wiring, hasApp: boolean): string {
  const waits = skips(wiring.owner)
    ? "replicas of the application behind it, healthy when headgate probe says so."
    : "replicas of the application, which migrates when it starts.";
  const standIn = hasApp ? [] : ["Without --app-image the application is headgate asleep."];
  return comment([...BANNER, waits, ...standIn]) + renderYaml(compose(wiring, hasApp));
}

function compose(wiring: Wiring, hasApp: boolean): object {
  const installs = hasApp && wiring.delivery === "install";
  const migrates = wiring.owner === "job";
  return {
    services: {
      postgres: POSTGRES,
      pgbouncer: PGBOUNCER,
      ...(migrates ? { migrate: migrate(wiring) } : {}),
      ...(installs ? { install: install(wiring) } : {}),
      app: app(wiring, { hasApp, installs, migrates }),
    },
    ...(installs ? { volumes: { [BIN]: {} } } : {}),
  };
}

const POSTGRES: object = {
  image: "$" + "{POSTGRES_IMAGE:-postgres:18}",
  environment: { POSTGRES_USER: USER, POSTGRES_PASSWORD: PASSWORD, POSTGRES_DB: DATABASE },
  ports: ["127.0.0.1:54320:5432"],
  healthcheck: {
    test: ["CMD-SHELL", `pg_isready -h 127.0.0.1 -U ${USER} -d ${DATABASE}`],
    interval: "1s",
    timeout: "3s",
    retries: 60,
  },
};

const PGBOUNCER: object = {
  image: "$" + "{PGBOUNCER_IMAGE:-edoburu/pgbouncer:v1.24.1-p1}",
  environment: {
    DB_HOST: "postgres",
    DB_PORT: "5432",
    DB_USER: USER,
    DB_PASSWORD: PASSWORD,
    DB_NAME: "*",
    AUTH_TYPE: "scram-sha-256",
    POOL_MODE: "transaction",
    DEFAULT_POOL_SIZE: "2",
    MAX_CLIENT_CONN: "200",
  },
  ports: ["127.0.0.1:64320:5432"],
  depends_on: { postgres: { condition: "service_healthy" } },
};

function migrate(wiring: Wiring): object {
  return {
    image: wiring.image,
    command: ["up"],
    environment: {
      HEADGATE_DATABASE_URL: POOLED,
      HEADGATE_MIGRATION_DATABASE_URL: DIRECT,
      HEADGATE_LOCK_WAIT: `${wiring.lockWaitS}s`,
      HEADGATE_DEADLINE: `${wiring.upDeadlineS}s`,
      HEADGATE_EXPECT_BUNDLE: wiring.expected,
      ...skipping(false),
      PLATFORM_ADMIN_EMAIL: "$" + "{PLATFORM_ADMIN_EMAIL:-}",
      PLATFORM_ADMIN_PASSWORD: "$" + "{PLATFORM_ADMIN_PASSWORD:-}",
    },
    restart: "no",
    ...LOCKED,
    depends_on: {
      postgres: { condition: "service_healthy" },
      pgbouncer: { condition: "service_started" },
    },
  };
}

/** As root without any capability: a new volume is root's. */
function install(wiring: Wiring): object {
  return {
    image: wiring.image,
    command: ["install", `/${BIN}`],
    user: "0:0",
    restart: "no",
    ...LOCKED,
    volumes: [`${BIN}:/${BIN}`],
  };
}

interface AppShape {
  readonly hasApp: boolean;
  readonly installs: boolean;
  readonly migrates: boolean;
}

function app(wiring: Wiring, { hasApp, installs, migrates }: AppShape): object {
  const done = { condition: "service_completed_successfully" };
  const binary = installs ? `/${BIN}/headgate` : IN_IMAGE;
  return {
    image: hasApp ? wiring.appImage : wiring.image,
    ...(hasApp ? {} : { command: ["wait", "--stay"], ...LOCKED }),
    environment: {
      HEADGATE_DATABASE_URL: POOLED,
      HEADGATE_TIMEOUT: `${wiring.probeBudgetMs}ms`,
      HEADGATE_EXPECT_BUNDLE: wiring.expected,
      ...(migrates ? {} : { HEADGATE_MIGRATION_DATABASE_URL: DIRECT }),
      ...skipping(skips(wiring.owner)),
    },
    deploy: { replicas: wiring.replicas },
    healthcheck: {
      test: ["CMD", binary, "probe"],
      interval: `${wiring.probePeriodS}s`,
      timeout: `${wiring.probeTimeoutS}s`,
      retries: 3,
      start_period: `${wiring.windowS}s`,
    },
    ...(installs ? { volumes: [`${BIN}:/${BIN}:ro`] } : {}),
    depends_on: {
      pgbouncer: { condition: "service_started" },
      ...(migrates ? { migrate: done } : {}),
      ...(installs ? { install: done } : {}),
    },
  };
}

function skipping(isSkipping: boolean): Readonly<Record<string, string>> {
  const value = String(isSkipping);
  return { HEADGATE_SKIP_MIGRATIONS: value, MCPGATEWAY_SKIP_MIGRATIONS: value };
}
