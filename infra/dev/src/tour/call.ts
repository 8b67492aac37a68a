import { type Postern } from '@postern/client';

export type Answer = { status: number; headers: Record<string, string>; json: Record<string, unknown> };

/** A call whose answer matters whatever its status: the tour shows refusals too. */
export async function call(
  caller: Postern,
  method: 'GET' | 'POST' | 'DELETE',
  url: string,
  { token, json }: { token: string; json?: unknown },
): Promise<Answer> {
  const body =
    json === undefined ? {} : { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } };
  const answer = await caller.fetch(url, { method, token, ...body });
  return { ...answer, json: answer.body.startsWith('{') ? (JSON.parse(answer.body) as Record<string, unknown>) : {} };
}
