import { type Dispatcher, request } from 'undici';
import { PosternError } from '../errors.ts';
import { codeOf } from '../send.ts';
import { shownAnswer, shownForm, type Trace } from './trace.ts';

export type FormCall = {
  service: string;
  dispatcher: Dispatcher;
  url: URL;
  form: URLSearchParams;
  headers: Record<string, string>;
  signal: AbortSignal;
  trace: Trace | undefined;
};

export type FormAnswer = { status: number; retryAfterSeconds: number | undefined; said: Record<string, unknown> };

const LONGEST_ANSWER = 262_144;
/** After these nothing was answered, and an exchange changes nothing that a second one would break: it is sent once more. */
const AGAIN = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

/**
 * Posts a form to a token endpoint and reads its JSON.
 * @throws PosternError `unreachable`, `timed_out`, `unexpected_answer`; never with a value that was sent
 */
export async function postForm(call: FormCall, again = true): Promise<FormAnswer> {
  const { service, dispatcher, url, form, headers, signal, trace } = call;
  const started = performance.now();
  const told = (status?: number, answer?: unknown) =>
    trace?.({
      method: 'POST',
      url: url.href,
      sent: shownForm(form),
      ...(status !== undefined && { status, answer: shownAnswer(answer) }),
      milliseconds: performance.now() - started,
    });
  try {
    const {
      statusCode,
      headers: answered,
      body,
    } = await request(url, {
      dispatcher,
      method: 'POST',
      headers: { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: form.toString(),
      signal,
    });
    const said = await jsonOf(body, service);
    told(statusCode, said);
    const retryAfter = Number(answered['retry-after']);
    return { status: statusCode, said, retryAfterSeconds: retryAfter >= 0 ? retryAfter : undefined };
  } catch (error) {
    if (error instanceof PosternError) throw error;
    told();
    if (signal.aborted) throw new PosternError(service, 'timed_out');
    if (again && AGAIN.has(codeOf(error))) return postForm(call, false);
    throw new PosternError(service, 'unreachable', { detail: codeOf(error) });
  }
}

async function jsonOf(body: Dispatcher.ResponseData['body'], service: string): Promise<Record<string, unknown>> {
  let text = '';
  for await (const chunk of body) {
    text += String(chunk);
    if (text.length > LONGEST_ANSWER) throw new PosternError(service, 'unexpected_answer');
  }
  try {
    const said: unknown = JSON.parse(text);
    return typeof said === 'object' && said !== null ? (said as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
