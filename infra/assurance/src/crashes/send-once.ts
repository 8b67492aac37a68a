import type { Agent } from 'undici';
import type { Operation } from './operations.ts';

/** Longest wait for an answer. One that came later would not be acknowledged to anybody. */
const ANSWER_WITHIN_MS = 10_000;

export type Answered = { status: number; text: string; retryAfter: string | undefined };

/** One attempt, with the id in `x-request-id`. @returns nothing when no whole answer came: what became of it is then not known */
export async function sendOnce(
  agent: Agent,
  origin: string,
  id: string,
  { method, path, token, body }: ReturnType<Operation['ask']>,
): Promise<Answered | undefined> {
  try {
    const answer = await agent.request({
      origin,
      path,
      method,
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
      headers: {
        'x-request-id': id,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': body.type }),
      },
      ...(body === undefined ? {} : { body: body.text }),
    });
    const retryAfter = answer.headers['retry-after'];
    return {
      status: answer.statusCode,
      text: await answer.body.text(),
      retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
    };
  } catch {
    return undefined;
  }
}
