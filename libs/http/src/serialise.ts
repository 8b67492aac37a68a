import type { z } from 'zod';
import type { AnswerKind, Answers, Bytes, Outgoing, Page, Redirect, Stream } from './released.ts';

const JSON_TYPE = 'application/json';

type AnyAnswer = {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** An answer that does not fit its own declaration: a mistake of the program, answered with 500. */
export class AnswerRefused extends Error {
  override readonly name = 'AnswerRefused';
  readonly code = 'answer_refused';
}

/** Parses the body with the declared schema and serialises it; done before the audit commit, so that a commit is never followed by a failure here. */
export function jsonAnswer(answers: Answers, { status, body, headers = {} }: AnyAnswer): Outgoing {
  const schema = declared(answers, status);
  if (typeof schema === 'string') throw new AnswerRefused(`status ${status} is not declared as JSON`);
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw new AnswerRefused(`the body of ${status} breaks its schema at ${placesOf(parsed.error)}`);
  if (parsed.data === undefined) return { status, headers, body: null };
  return { status, headers: { 'content-type': JSON_TYPE, ...headers }, body: JSON.stringify(parsed.data) };
}

export function pageAnswer(answers: Answers, { html, status = 200, cookies, contentSecurityPolicy }: Page): Outgoing {
  expectKind(answers, status, 'html');
  return {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      ...(contentSecurityPolicy === undefined ? {} : { 'content-security-policy': contentSecurityPolicy }),
      ...cookieHeader(cookies),
    },
    body: html,
  };
}

export function redirectAnswer(answers: Answers, { to, status = 303, cookies }: Redirect): Outgoing {
  expectKind(answers, status, 'redirect');
  return { status, headers: { location: to, ...cookieHeader(cookies) }, body: null };
}

export function bytesAnswer(answers: Answers, { bytes, contentType, status = 200, headers = {} }: Bytes): Outgoing {
  expectKind(answers, status, 'bytes');
  return { status, headers: { 'content-type': contentType, ...headers }, body: bytes };
}

export function streamAnswer(answers: Answers, { source, contentType, status = 200, headers = {} }: Stream): Outgoing {
  expectKind(answers, status, 'stream');
  return { status, headers: { 'content-type': contentType, ...headers }, body: source };
}

const cookieHeader = (cookies: readonly string[] | undefined) =>
  cookies?.length ? { 'set-cookie': [...cookies] } : {};

function declared(answers: Answers, status: number): AnswerKind {
  const kind = answers[status];
  if (kind === undefined) throw new AnswerRefused(`status ${status} is not declared`);
  return kind;
}

function expectKind(answers: Answers, status: number, kind: string): void {
  if (declared(answers, status) !== kind) throw new AnswerRefused(`status ${status} is not declared as ${kind}`);
}

const placesOf = (error: z.ZodError): string =>
  error.issues.map((issue) => issue.path.join('.') || 'the root').join(', ');
