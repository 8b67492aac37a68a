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

const outgoings = new WeakMap<object, { how: 'recorded' | 'open'; outgoing: Outgoing }>();

/** Internal: wraps what may leave. */
export function release<How extends 'recorded' | 'open' = 'recorded'>(outgoing: Outgoing, how: How): Released<How> {
  const released = Object.freeze({}) as Released<How>;
  outgoings.set(released, { how, outgoing });
  return released;
}

/** Internal: what a released answer holds; undefined for a forged one, or one that was released in the other way. */
export function outgoingOf(released: object, how: 'recorded' | 'open'): Outgoing | undefined {
  const held = outgoings.get(released);
  return held?.how === how ? held.outgoing : undefined;
}
