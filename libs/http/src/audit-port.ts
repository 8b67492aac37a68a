import type { Action, AuditEvent, DetailsOf, Outcome } from '@postern/audit';
import type { Audit } from '@postern/outbox';
import type { Transaction } from 'kysely';
import type { Answer, Answers, Bytes, Page, Redirect, Released, Stream } from './released.ts';

/** What this library asks of `@postern/outbox`. */
export type AuditPort = Pick<Audit, 'commit' | 'within' | 'refused' | 'refusedEarly'>;
export type AuditGuard = NonNullable<Parameters<Audit['commit']>[1]>;

/** Commits an event together with the change that it speaks of, or neither (`Changes` of `@postern/outbox`). */
export type MakeChange = (event: AuditEvent) => Promise<boolean>;

/** What an operation knows about what happened; who asked, when, for which tenant and under which request is added by the route. */
export type What<A extends Action> = {
  /** Another action than the route's declared one (`login.failed` where `login.succeeded` is declared). */
  readonly action?: A;
  readonly outcome?: Exclude<Outcome, 'intent'>;
  /** A stable code. */
  readonly reason?: string;
  readonly resource?: NonNullable<AuditEvent['resource']>;
  /** Where the route has no principal, or the operation found out who it was for. */
  readonly tenant?: string | null;
  readonly actor?: AuditEvent['actor'];
} & (object extends DetailsOf<A> ? { readonly details?: DetailsOf<A> } : { readonly details: DetailsOf<A> });

/** The same with the guard that proves a read fresh at commit (R32). */
export type WhatRead<A extends Action> = What<A> & { readonly guard?: AuditGuard };

/** Before an effect not everything is known. */
export type Intent<A extends Action> = Omit<What<A>, 'details' | 'outcome'> & {
  readonly details?: Partial<DetailsOf<A>>;
};

/** The only way to an answer: each method commits the event first, then releases. */
export type RouteAudit<A extends Action, R extends Answers> = {
  /**
   * For a read. Waits for the group commit; where `guard` no longer holds, the whole handler is run again (at most 3 times, then 503).
   */
  released<B extends Action = A>(what: WhatRead<B>, answer: Answer<R> | (() => Answer<R>)): Promise<Released>;
  /** For a mutation: the event joins the transaction `tx`; return the result from the transaction's function. */
  within<S, B extends Action = A>(
    tx: Transaction<S>,
    what: What<B>,
    answer: Answer<R> | (() => Answer<R>),
  ): Promise<Released>;
  /**
   * For a mutation that shares its statement with others (`Audit.changes`): `make` gets the event and commits both. Null where the
   * change was not made: nothing was recorded or released.
   */
  joined<B extends Action = A>(
    make: MakeChange,
    what: What<B>,
    answer: Answer<R> | (() => Answer<R>),
  ): Promise<Released | null>;
  /**
   * For an effect outside the database (R23): commits the intent, acts, commits the outcome. `act` gets the intent's id as idempotency
   * key. If it throws, the outcome is `failed` with the problem's code. If what it did cannot be recorded, the intent stays open, to be
   * reconciled.
   */
  effect<B extends Action = A>(
    intent: Intent<B>,
    act: (idempotencyKey: string) => Promise<{ readonly what: What<B>; readonly answer: Answer<R> }>,
  ): Promise<Released>;
  /**
   * One item of a request that does many things: its event is committed, and nothing is released yet; end the request with one of
   * the others. False where the guard no longer holds: read that item again.
   */
  item<B extends Action = A>(what: WhatRead<B>): Promise<boolean>;
  /** The same for an item that is a mutation. */
  itemWithin<S, B extends Action = A>(tx: Transaction<S>, what: What<B>): Promise<void>;
  /** The same for an item that shares its statement with others; false where it was not made. */
  itemJoined<B extends Action = A>(make: MakeChange, what: What<B>): Promise<boolean>;
  /** As `released`, with a body of bytes. */
  bytes<B extends Action = A>(what: WhatRead<B>, body: Bytes): Promise<Released>;
  /**
   * A stream that is recorded on both sides (R23): the intent before its first byte leaves, the outcome before its end does. Where the
   * outcome cannot be written, the stream breaks off. Null where the guard does not hold: nothing was recorded or released.
   * `outcome` is asked at the end, whatever became of the stream.
   */
  streamed<B extends Action = A>(
    intent: Intent<B> & { readonly guard?: AuditGuard },
    source: Stream,
    outcome: () => Omit<What<B>, 'outcome' | 'reason'>,
  ): Promise<Released | null>;
  stream<B extends Action = A>(what: WhatRead<B>, source: Stream): Promise<Released>;
  page<B extends Action = A>(what: WhatRead<B>, page: Page): Promise<Released>;
  redirect<B extends Action = A>(what: WhatRead<B>, redirect: Redirect): Promise<Released>;
  /** A page or redirect whose event joins a transaction. */
  pageWithin<S, B extends Action = A>(tx: Transaction<S>, what: What<B>, page: Page): Promise<Released>;
  redirectWithin<S, B extends Action = A>(tx: Transaction<S>, what: What<B>, redirect: Redirect): Promise<Released>;
};
