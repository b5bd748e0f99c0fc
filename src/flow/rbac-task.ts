/** Brings the gateway's RBAC rows to their declared state, in one short transaction of the gate. */
import type { DbError } from "../core/db-error.ts";
import { HeadgateError } from "../core/error.ts";
import type { Ledger, LedgerPlace } from "../core/ledger.ts";
import { orphanKey } from "../core/orphan.ts";
import { needsPassword } from "../core/rbac-diff.ts";
import { describeChange, describeOrphan } from "../core/rbac-text.ts";
import type { Gate } from "../db/gate.ts";
import { hasCommitted, readXactId } from "../db/xact.ts";
import type { Connection } from "../ports.ts";
import type { World } from "./access.ts";
import { type Credential, makeCredential } from "./first-password.ts";
import { applyChange, roleIdsOf, seedError, type Writer } from "./rbac-act.ts";
import {
  describeMissing,
  lookAtRbac,
  type RbacTodo,
  refuseUnbacked,
  signatureOf,
} from "./rbac-look.ts";
import { notKept, recordSeeds } from "./record-seeds.ts";
import { sayOnce } from "./say-once.ts";
import type { SeedChange, SeedConflict, Seeding, SeedReport, SeedWork } from "./seeding.ts";
import type { Decision, Sight, Task } from "./step.ts";

/** One run's seeding of the gateway's rows. */
export class RbacTask implements Task<RbacTodo> {
  readonly #world: World;
  readonly #seeding: Seeding;
  readonly #work: Pick<SeedWork, "hasLedger" | "isSeedable">;
  #credential: Credential | undefined;
  /** A transaction whose COMMIT has not been answered, and what it holds. */
  #inFlight:
    | { readonly xactId: string; readonly todo: RbacTodo; readonly changes: SeedChange[] }
    | undefined;
  /** What was committed last, to notice a database that does not keep it. */
  #kept = "";
  #changes: readonly SeedChange[] = [];
  #conflicts: ReadonlyMap<string, SeedConflict> = new Map();
  #skipped: string | undefined;
  readonly #say: World["log"];

  constructor(world: World, seeding: Seeding, work: Pick<SeedWork, "hasLedger" | "isSeedable">) {
    this.#world = world;
    this.#seeding = seeding;
    this.#work = work;
    this.#say = sayOnce(world.log);
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
        makesRecord: this.#work.hasLedger,
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
    if (!(await this.#work.isSeedable(ledger))) return { kind: "nothing" };
    const todo = await this.look(connection, place);
    if (!todo) return { kind: "nothing" };
    if (signatureOf(todo) === this.#kept) throw notKept("what is written");
    if (needsPassword(todo.plan.changes) && !this.#credential) return { kind: "prepare" };
    return { kind: "act", plan: todo };
  }

  async prepare(): Promise<void> {
    const { vault, password, wish } = this.#seeding;
    const email = wish.accounts?.admin.email ?? "";
    this.#credential = await makeCredential(vault, password, email);
  }

  async act(connection: Connection, place: LedgerPlace, todo: RbacTodo): Promise<void> {
    await this.finish(connection);
    const changes: SeedChange[] = [];
    const xactId = await readXactId(connection);
    const writer = this.#writerFor(connection, todo);
    try {
      for (const change of todo.plan.changes) {
        const done = { kind: change.kind, what: describeChange(change) };
        if (await applyChange(writer, change)) changes.push(done);
      }
      await recordSeeds(connection, place, todo);
      this.#inFlight = { xactId, todo, changes };
    } catch (error) {
      this.#credential?.withdraw();
      throw seedError(error, "its own record");
    }
  }

  commitFailed(_todo: RbacTodo, error: DbError): Error {
    this.#inFlight = undefined;
    this.#credential?.withdraw();
    return seedError(error, "anything, at COMMIT");
  }

  committed(): void {
    const { changes = [], todo } = this.#inFlight ?? {};
    this.#inFlight = undefined;
    this.#kept = todo ? signatureOf(todo) : "";
    for (const change of changes) this.#world.log("seed.written", { ...change });
    if (changes.some(isFirstPassword)) this.#credential?.announce(this.#world.log);
    this.#changes = [...this.#changes, ...changes];
  }

  async peek(connection: Connection, { place, searchPath }: Gate): Promise<Sight> {
    const todo = await this.look(connection, place, searchPath);
    return { isDone: !todo, mark: -(todo?.plan.changes.length ?? 0) };
  }

  /** When the answer to a COMMIT was lost, the server tells whether it was done. */
  async finish(connection: Connection): Promise<void> {
    if (!this.#inFlight) return;
    if (await hasCommitted(connection, this.#inFlight.xactId)) return this.committed();
    this.#inFlight = undefined;
    this.#credential?.withdraw();
  }

  report(): Omit<SeedReport, "files"> {
    return {
      changes: this.#changes,
      conflicts: [...this.#conflicts.values()],
      password: this.#changes.some(isFirstPassword) ? this.#credential?.kind : undefined,
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
    const reason = describeMissing(missing);
    if (this.#seeding.mode === "auto") return this.#skip(reason);
    throw new HeadgateError(`Cannot seed: ${reason}`, {
      code: "seed-failed",
      hint: "The gateway's tables come with its migrations: run headgate up first, or check the search path",
    });
  }

  #skip(reason: string): undefined {
    this.#skipped = reason;
    this.#say("seed.skipped", { reason });
  }
}

function isFirstPassword({ kind }: SeedChange): boolean {
  return kind === "create-admin" || kind === "set-password";
}
