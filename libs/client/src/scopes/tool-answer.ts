import { scopesNamedBy, scopesOfChallenge } from './named-scopes.ts';

/** The longest body that is looked into, in bytes; a longer one is nobody's refusal. */
const LONGEST_LOOK = 65_536;

/** Statuses with which servers refuse for want of a scope; Llama Stack also answers 400 with the reason in its `error`. */
const REFUSED = new Set([400, 401, 403]);

/**
 * The scopes that an answer says are lacking: by `WWW-Authenticate` (RFC 6750), in the body of a refusal, or as the error of a tool. The answer itself
 * stays unread.
 * @param sent the body of the request, where it was a text
 */
export async function scopesLackedBy(answer: Response, sent: string | undefined): Promise<string[]> {
  if (REFUSED.has(answer.status)) {
    const challenged = scopesOfChallenge(answer.headers.get('www-authenticate'));
    return challenged.length > 0 ? challenged : scopesNamedBy(await jsonOf(answer));
  }
  if (answer.status !== 200 || sent === undefined) return [];
  const type = answer.headers.get('content-type') ?? '';
  if (type.includes('application/json')) return scopesNamedBy(toolError(await jsonOf(answer)));
  // A stream answers a call of a tool; its first message is looked at, so a stream that begins with progress is left alone.
  const streamed = type.includes('text/event-stream') && /"method"\s*:\s*"tools\/call"/.test(sent);
  return streamed ? scopesNamedBy(toolError(await firstMessage(answer))) : [];
}

/** The part of an answer that is a tool's error: MCP's `isError` or JSON-RPC `error`, Llama Stack's `error_message`. */
function toolError(answer: unknown): unknown {
  if (typeof answer !== 'object' || answer === null) return null;
  const { error, result, error_message: message } = answer as Record<string, unknown>;
  if (typeof error === 'object' && error !== null) return error;
  if (typeof message === 'string') return message;
  const failed = typeof result === 'object' && result !== null && (result as { isError?: unknown }).isError === true;
  return failed ? result : null;
}

async function jsonOf(answer: Response): Promise<unknown> {
  if (Number(answer.headers.get('content-length') ?? 0) > LONGEST_LOOK) return null;
  return parsed(await readUntil(answer.clone(), () => false));
}

async function firstMessage(answer: Response): Promise<unknown> {
  const text = await readUntil(answer.clone(), (read) => /\r?\n\r?\n/.test(read));
  const [event = ''] = text.split(/\r?\n\r?\n/);
  const lines = event.split(/\r?\n/).filter((line) => line.startsWith('data:'));
  return parsed(lines.map((line) => line.slice(5).replace(/^ /, '')).join('\n'));
}

/** Reads until `enough`, the end, or the longest look; then lets the copy go. */
async function readUntil(copy: Response, enough: (text: string) => boolean): Promise<string> {
  const reader = copy.body?.getReader();
  if (!reader) return '';
  const decoder = new TextDecoder();
  let text = '';
  try {
    while (text.length <= LONGEST_LOOK && !enough(text)) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value as Uint8Array, { stream: true });
    }
    return text.length > LONGEST_LOOK ? '' : text;
  } finally {
    // Of two copies of a stream, the end of one is awaited only with the other's.
    void reader.cancel().catch(() => undefined);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
