/** Brings the gateway's RBAC rows to their declared state, in one short transaction of the gate. */
import type { DbError } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import type { EventName } from "../core/events.ts";
import type { Ledger, LedgerPlace } from "../core/ledger.ts";
import { orphanKey } from "../core/orphan.ts";
import { needsPassword } from "../core/rbac-diff.ts";
import { describeChange, describeOrphan } from "../core/rbac-text.ts";
import type { Connection } from "../db/connection.ts";
import type { Gate } from "../db/gate.ts";
import { hasPasswordHash } from "../db/rbac-write.ts";
import type { Fields } from "../ports.ts";
import type { World } from "./access.ts";
import { type Credential, makeCredential } from "./first-password.ts";
import { applyChange, roleIdsOf, seedError, type Writer } from "./rbac-act.ts";
import { lookAtRbac, type RbacTodo, refuseUnbacked } from "./rbac-look.ts";
import { isSeedable, recordSeeds } from "./record-seeds.ts";
import type { SeedChange, SeedConflict, Seeding, SeedReport, SeedWork } from "./seeding.ts";
import type { Decision, Sight, Task } from "./step.ts";

/** One run's seeding of the gateway's rows. */
export class RbacTask implements Task<RbacTodo> {
  readonly #world: World;
  readonly #seeding: Seeding;
  readonly #head: SeedWork["head"];
  #credential: Credential | undefined;
  /** What a transaction holds whose COMMIT has not been answered. */
  #inFlight: readonly SeedChange[] = [];
  #schema = "";
  #changes: readonly SeedChange[] = [];
  #conflicts: ReadonlyMap<string, SeedConflict> = new Map();
  #skipped: string | undefined;
  readonly #said: Set<string> = new Set();

  constructor(world: World, seeding: Seeding, head: SeedWork["head"]) {
    this.#world = world;
    this.#seeding = seeding;
    this.#head = head;
  }

  /**
   * Without the gate or inside it. Undefined: nothing is to do; why is logged once.
   *
   * @throws {HeadgateError} `seed-failed`
   */
  async look(
    connection: Connection,
    place: LedgerPlace,
    searchPath?: string,
  ): Promise<RbacTodo | undefined> {
    try {
      const sight = await lookAtRbac(connection, place, this.#seeding, {
        searchPath,
        makesRecord: this.#head !== undefined,
        except: [...this.#conflicts.keys()],
      });
      if (sight.kind === "newer") return this.#skip("a newer version has seeded this database");
      if (sight.kind === "absent") return this.#skipAbsent(sight.missing);
      return await this.#consider(connection, sight.todo, sight.isDone);
    } catch (error) {
      throw seedError(error, "anything");
    }
  }

  async decide(
    ledger: Ledger,
    connection: Connection,
    place: LedgerPlace,
  ): Promise<Decision<RbacTodo>> {
    if (!isSeedable(this.#head, ledger)) return { kind: "nothing" };
    const todo = await this.look(connection, place);
    if (!todo) return { kind: "nothing" };
    if (needsPassword(todo.plan.changes) && !this.#credential) return { kind: "prepare" };
    return { kind: "act", plan: todo };
  }

  async prepare(): Promise<void> {
    const { vault, password, wish } = this.#seeding;
    const email = wish.accounts?.admin.email ?? "";
    this.#credential = await makeCredential(vault, password, email);
  }

  async act(connection: Connection, place: LedgerPlace, todo: RbacTodo): Promise<void> {
    this.#inFlight = [];
    this.#schema = todo.catalog.schema;
    const writer = this.#writerFor(connection, todo);
    try {
      for (const change of todo.plan.changes) {
        const isOurs = await applyChange(writer, change);
        const done = { kind: change.kind, what: describeChange(change) };
        if (isOurs) this.#inFlight = [...this.#inFlight, done];
      }
      await recordSeeds(connection, place, todo);
    } catch (error) {
      this.#credential?.withdraw();
      throw seedError(error, "its own record");
    }
  }

  commitFailed(_todo: RbacTodo, error: DbError): Error {
    this.#credential?.withdraw();
    return seedError(error, "anything");
  }

  committed(): void {
    for (const { kind, what } of this.#inFlight) this.#world.log("seed.written", { kind, what });
    if (this.#inFlight.some(isFirstPassword)) this.#credential?.announce(this.#world.log);
    this.#changes = [...this.#changes, ...this.#inFlight];
    this.#inFlight = [];
  }

  async peek(connection: Connection, { place, searchPath }: Gate): Promise<Sight> {
    const todo = await this.look(connection, place, searchPath);
    return { isDone: !todo, mark: -(todo?.plan.changes.length ?? 0) };
  }

  /** When the answer to a COMMIT was lost, the account tells whether it was ours. */
  async finish(connection: Connection): Promise<void> {
    const email = this.#seeding.wish.accounts?.admin.email;
    if (!this.#credential || email === undefined) return;
    const { hash } = this.#credential;
    const isOurs = await hasPasswordHash(connection, { schema: this.#schema }, email, hash);
    if (!isOurs) this.#credential.withdraw();
    else if (this.#inFlight.length > 0) this.committed();
  }

  report(): Omit<SeedReport, "files"> {
    const isNew = this.#changes.some(isFirstPassword);
    return {
      changes: this.#changes,
      conflicts: [...this.#conflicts.values()],
      password: isNew ? this.#credential?.kind : undefined,
      skipped: this.#skipped,
    };
  }

  async #consider(
    connection: Connection,
    todo: RbacTodo,
    isDone: boolean,
  ): Promise<RbacTodo | undefined> {
    for (const role of todo.plan.vanishedRoles) this.#say("seed.role-vanished", { role });
    const { withoutConstraints } = this.#seeding;
    const duplicates = await refuseUnbacked(connection, todo, withoutConstraints);
    for (const { what, count } of duplicates) this.#say("seed.duplicate", { what, count });
    if (isDone) return undefined;
    const { unbacked } = todo.catalog;
    if (unbacked.length > 0) this.#say("seed.unconstrained", { missing: unbacked.join(", ") });
    return todo;
  }

  #writerFor(connection: Connection, { catalog, plan }: RbacTodo): Writer {
    return {
      connection,
      tables: catalog,
      admin: this.#seeding.wish.accounts?.admin,
      roleIds: roleIdsOf(plan.roles),
      teamId: plan.teamId,
      passwordHash: this.#credential?.hash ?? "",
      onPassword: () => this.#credential?.keep(),
      onConflict: (orphan, reason) => {
        const what = describeOrphan(orphan);
        this.#conflicts = new Map(this.#conflicts).set(orphanKey(orphan), {
          what,
          reason,
        });
        this.#say("seed.conflict", { what, reason });
      },
    };
  }

  #skipAbsent(missing: readonly string[]): undefined {
    const what = missing.slice(0, MISSING_SHOWN).join(", ");
    const more = missing.length > MISSING_SHOWN ? ", …" : "";
    if (this.#seeding.mode === "auto") return this.#skip(`the database has no ${what}${more}`);
    throw new HeadgateError(`Cannot seed: the database has no ${what}${more}`, {
      code: "seed-failed",
      hint: "The gateway's tables come with its migrations: run headgate up first, or check the search path",
    });
  }

  #skip(reason: string): undefined {
    this.#skipped = reason;
    this.#say("seed.skipped", { reason });
  }

  #say(event: EventName, fields: Fields): void {
    const line = JSON.stringify([event, fields]);
    if (this.#said.has(line)) return;
    this.#said.add(line);
    this.#world.log(event, fields);
  }
}

function isFirstPassword({ kind }: SeedChange): boolean {
  return kind === "create-admin" || kind === "set-password";
}

/** Of tables and columns that are not there. */
const MISSING_SHOWN = 3;
