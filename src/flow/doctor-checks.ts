/** The checks of `doctor`, each one question and one judgement. A check may fail: it becomes a note. */
import type { Finding } from "../core/doctor.ts";
import { judgeClock, judgeTls } from "../core/doctor-connection.ts";
import { judgeLedger, judgeRbac, judgeRights } from "../core/doctor-ledger.ts";
import { judgePool, type PoolSight } from "../core/doctor-pool.ts";
import { judgeRoom, judgeStartup } from "../core/doctor-room.ts";
import { judgeBuilder, judgeIndex, judgeKeeper } from "../core/doctor-schema.ts";
import { judgeServer } from "../core/doctor-server.ts";
import { runKey } from "../core/gate-key.ts";
import type { LedgerPlace } from "../core/ledger.ts";
import { seedsTable } from "../core/seed-mark.ts";
import type { Target } from "../core/target.ts";
import { watchPool } from "../db/doctor-pool.ts";
import { readRefusedStartup, watchRoom } from "../db/doctor-room.ts";
import {
  readBuilders,
  readInvalidIndexes,
  readKeepers,
  readLedgerRights,
} from "../db/doctor-schema.ts";
import {
  readIsEncrypted,
  readIsPooled,
  readServerClock,
  readServerFacts,
} from "../db/doctor-server.ts";
import { readTenancy, resolvePlace } from "../db/place.ts";
import { readRbacCatalog } from "../db/rbac-catalog.ts";
import { readDuplicates } from "../db/rbac-read.ts";
import type { Connection } from "../ports.ts";
import type { Access, BundleSource, World } from "./access.ts";
import { unreadableError } from "./db-trouble.ts";
import { readableName, readHeadState } from "./state.ts";

/** What is looked at, and with what. */
export interface Patient {
  readonly world: World;
  readonly access: Access;
  readonly source: BundleSource;
  readonly main: Target;
  /** The gate's way; the same as `main` without an address of its own. */
  readonly direct: Target;
  readonly wallMs: () => number;
  readonly token: string;
  /** On the address's one connection, which is a new one after a failure. */
  readonly ask: <T>(target: Target, question: (connection: Connection) => Promise<T>) => Promise<T>;
  /** A connection of its own. */
  readonly open: (target: Target) => Connection;
}

type Check = (patient: Patient) => Promise<readonly Finding[]>;

/** By name, in the order of the report. */
export const CHECKS: Readonly<Record<string, Check>> = {
  pooler: checkPool,
  server: checkServer,
  clock: checkClock,
  tls: checkTls,
  privileges: checkRights,
  ledger: checkLedger,
  "invalid-index": ({ direct, ask }) =>
    ask(direct, async (connection) => (await readInvalidIndexes(connection)).map(judgeIndex)),
  "index-builder": checkBuilders,
  keepers: ({ direct, ask }) =>
    ask(direct, async (connection) => (await readKeepers(connection)).map(judgeKeeper)),
  rbac: checkRbac,
  "startup-parameters": checkStartup,
  "pool-size": checkRoom,
};

/** The probe's way, and the gate's where it is another. */
function waysOf({ main, direct }: Patient): readonly Target[] {
  return direct === main ? [main] : [main, direct];
}

async function checkPool(patient: Patient): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const target of waysOf(patient)) {
    const sight = await watch(patient, target);
    const isGates = target === patient.direct;
    findings.push(...judgePool(sight, { source: target.source, isGates }));
  }
  return findings;
}

function watch({ open, token }: Patient, target: Target): Promise<PoolSight> {
  return watchPool(() => open(target), token);
}

function checkServer({ direct, ask }: Patient): Promise<readonly Finding[]> {
  return ask(direct, async (connection) => judgeServer(await readServerFacts(connection)));
}

function checkClock({ main, ask, wallMs }: Patient): Promise<readonly Finding[]> {
  return ask(main, async (connection) => {
    const beforeMs = wallMs();
    const serverMs = await readServerClock(connection);
    return judgeClock({ serverMs, beforeMs, afterMs: wallMs() });
  });
}

async function checkTls(patient: Patient): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const target of waysOf(patient)) {
    findings.push(
      ...(await patient.ask(target, async (connection) => {
        const isPooled = await readIsPooled(connection);
        return judgeTls({ target, isEncrypted: await readIsEncrypted(connection), isPooled });
      })),
    );
  }
  return findings;
}

async function checkStartup(patient: Patient): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const target of waysOf(patient)) {
    if (!(await patient.ask(target, readIsPooled))) continue;
    const refused = await readRefusedStartup((startup) => patient.open({ ...target, startup }));
    findings.push(...judgeStartup(refused, target.source));
  }
  return findings;
}

/** The gate's way only: the other one carries questions. The last check, because it ends the session. */
function checkRoom({ direct, ask, open, world }: Patient): Promise<readonly Finding[]> {
  return ask(direct, async (first) => {
    if (!(await readIsPooled(first))) return [];
    return judgeRoom(await watchRoom(first, () => open(direct), world.clock), direct.source);
  });
}

function checkRights(patient: Patient): Promise<readonly Finding[]> {
  return patient.ask(patient.direct, async (connection) => {
    const place = await placeOf(patient, connection);
    const tenancy = await readTenancy(connection, place);
    const ledger = await readLedgerRights(connection, place);
    return judgeRights(place, tenancy, ledger);
  });
}

function placeOf({ access, direct }: Patient, connection: Connection): Promise<LedgerPlace> {
  return resolvePlace(connection, access.ledger, direct.searchPath);
}

/** As the probe reads it; what makes it unreadable is a finding and no failure of the check. */
function checkLedger({ main, ask, access, source }: Patient): Promise<readonly Finding[]> {
  return ask(main, async (connection) => {
    const name = await readableName(connection, main, access.ledger);
    const { state } = await readHeadState(connection, name, await source.load());
    return judgeLedger(state);
  }).catch((error: unknown): readonly Finding[] => {
    const { message, hint } = unreadableError(error, access.ledger);
    return [
      {
        check: "ledger",
        severity: "error",
        what: message,
        why: "A probe cannot answer, and up cannot know what is applied",
        remedy: hint ?? 'Look at it with "headgate status"',
      },
    ];
  });
}

function checkBuilders(patient: Patient): Promise<readonly Finding[]> {
  return patient.ask(patient.direct, async (connection) => {
    const place = await placeOf(patient, connection);
    return (await readBuilders(connection, runKey(place))).map(judgeBuilder);
  });
}

function checkRbac(patient: Patient): Promise<readonly Finding[]> {
  const { direct, ask } = patient;
  return ask(direct, async (connection) => {
    const seeds = seedsTable(await placeOf(patient, connection));
    const catalog = await readRbacCatalog(connection, seeds, direct.searchPath);
    const isJudged = catalog.missing.length === 0;
    return judgeRbac(catalog, isJudged ? await readDuplicates(connection, catalog.schema) : []);
  });
}
