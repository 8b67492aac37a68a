import { z } from 'zod';

declare const brand: unique symbol;

/**
 * An answer that may leave the process. Nobody can make one: `audit` hands it out after the event is committed, and `open` for
 * the routes that record nothing. So no result leaves unrecorded.
 */
export type Released<How extends 'recorded' | 'open' = 'recorded'> = { readonly [brand]: How };

/** What an answer of a route may be: a JSON body by its schema, a page, a redirect, bytes, or bytes that are streamed. */
export type AnswerKind = z.ZodType | 'html' | 'text' | 'redirect' | 'bytes' | 'stream';
export type Answers = Readonly<Record<number, AnswerKind>>;

type JsonAnswers<A extends Answers> = { [Status in keyof A]: A[Status] extends z.ZodType ? Status : never }[keyof A];

/** One of the declared JSON answers: its status decides the body's type. */
export type Answer<A extends Answers> = {
  [Status in JsonAnswers<A>]: {
    readonly status: Status;
    readonly headers?: Readonly<Record<string, string>>;
  } & (A[Status] extends z.ZodType
    ? undefined extends z.input<A[Status]>
      ? { readonly body?: z.input<A[Status]> }
      : { readonly body: z.input<A[Status]> }
    : never);
}[JsonAnswers<A>];

/** The body of an answer without one: `answers: { 204: noContent }`. */
export const noContent = z.undefined();

/** A set-cookie value, ready-made (`__Host-...`; R17). */
export type Cookie = string;

export type Page = {
  readonly html: string;
  readonly status?: number;
  readonly cookies?: readonly Cookie[];
  readonly contentSecurityPolicy?: string;
};
export type Redirect = { readonly to: string; readonly status?: 302 | 303; readonly cookies?: readonly Cookie[] };
export type Stream = {
  readonly source: AsyncIterable<Uint8Array | string>;
  readonly contentType: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
};

/** A whole body that is not JSON. */
export type Bytes = {
  readonly bytes: Buffer;
  readonly contentType: string;
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
};

/** What is written to the socket: status, headers and either all bytes or a source of them. */
export type Outgoing = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: string | Buffer | AsyncIterable<Uint8Array | string> | null;
};

/** Made here alone, and nobody else looks into it. A map with weak keys beside it costs the collector more than a request should. */
class Held {
  readonly #how: 'recorded' | 'open';
  readonly #outgoing: Outgoing;

  constructor(how: 'recorded' | 'open', outgoing: Outgoing) {
    this.#how = how;
    this.#outgoing = outgoing;
    Object.freeze(this);
  }

  static outgoingOf(released: object, how: 'recorded' | 'open'): Outgoing | undefined {
    return #how in released && released.#how === how ? released.#outgoing : undefined;
  }
}

/** Internal: wraps what may leave. */
export const release = <How extends 'recorded' | 'open' = 'recorded'>(outgoing: Outgoing, how: How): Released<How> =>
  new Held(how, outgoing) as unknown as Released<How>;

/** Internal: what a released answer holds; undefined for a forged one, or one that was released in the other way. */
export const outgoingOf = (released: object, how: 'recorded' | 'open'): Outgoing | undefined =>
  Held.outgoingOf(released, how);
