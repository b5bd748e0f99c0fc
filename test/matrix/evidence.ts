/** What one case has shown, as plain data. */
import type { Case } from "./cases.ts";
import type { Seen } from "./watch.ts";

/** How a process ended. */
export interface End {
  readonly who: "victim" | "waiter" | "converger" | "status";
  /** -1: by a signal. Undefined: it had to be ended after all patience was gone. */
  readonly status: number | undefined;
  /** Why, by its last event; undefined when it has said nothing. */
  readonly reason: string | undefined;
}

/** What a probe answered during the fault. */
export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** Every migration was there right after it. */
  readonly isAtHead: boolean;
}

/** A lock of the gate that was held when the fault came. */
export interface Tail {
  /** How long it outlived its process, connection or patience, by the server's clock. */
  readonly ms: number;
  /** What the failure table promises. */
  readonly boundMs: number;
}

/** A person had to decide. */
export interface Settled {
  /** What `up` and `status` said. */
  readonly said: string;
  readonly how: "applied" | "rolled-back";
}

/** What must hold whatever happens; the names are those of the README. */
export type Invariant = "I1" | "I2" | "I3" | "I4" | "I5" | "I6";

/** What did not hold. */
export interface Violation {
  readonly invariant: Invariant;
  readonly text: string;
}

export interface Evidence {
  readonly each: Case;
  readonly ends: readonly End[];
  readonly answers: readonly Answer[];
  readonly tails: readonly Tail[];
  readonly settled: Settled | undefined;
  readonly seen: Seen;
  /** What is not as it should be once all is over. */
  readonly left: readonly Violation[];
  readonly wallMs: number;
}
