import { type Egress, EgressRefused } from '@postern/egress';
import { type Problem, problem } from '@postern/runtime';
import { type OnBehalf } from '../../providers/secret-provider.ts';
import { type HeldSecret } from '../held-secret.ts';
import { readSecret, type ReadSecret } from '../read-secret.ts';
import { type AskedUse, prepareRequest } from './prepare-request.ts';
import { type Projected, projectAnswer } from './project-answer.ts';
import { redactor } from './redact.ts';
import { type AccessKey, accessKeyOf, signSigv4 } from './sign-sigv4.ts';
import { type HeldUse, stillUsable } from './store-definition.ts';

export type UseSecret = ReadSecret & {
  /** The way out to hosts that tenants name (R35). */
  useEgress: Pick<Egress, 'request'>;
  /** Hosts of which the operator has said that what they answer is as good as the secret itself. */
  displayEquivalentHosts: ReadonlySet<string>;
};

export type UseAnswer = { status: number; fields: Projected; body: string | null };

const MOST_ANSWER_BYTES = 256 * 1024;
/** Servers take no longer fields; and what an answer is searched for costs by its length. */
const LONGEST_VALUE = 8 * 1024;

/**
 * Sends one request with the secret in its place, and gives out of the answer what the definition says: the status, and
 * declared fields. The value is seen by this process and by the host, by nobody else.
 *
 * @throws Problem `use_not_allowed`, `use_impossible`, `use_host_refused`, `use_unreachable`, `read_stale`; those of a read
 */
export async function useSecret(
  deps: UseSecret,
  { secret, use, asked, by }: { secret: HeldSecret; use: HeldUse; asked: AskedUse; by: OnBehalf },
): Promise<UseAnswer> {
  const { definition } = use;
  const { value } = await readSecret(deps, secret, {}, by);
  if (value.type !== 'text' || value.content.reveal().length > LONGEST_VALUE) throw problem('use_impossible');
  const { placement } = definition;
  const key = placement.kind === 'sigv4' ? accessKeyOf(value.content) : undefined;
  const prepared = prepareRequest(definition, asked, value.content);
  const { url, ...request } =
    placement.kind === 'sigv4' && key ? await signSigv4(prepared, placement, key, deps.now) : prepared;
  if (!(await stillUsable(deps.db, secret, use))) throw problem('read_stale', { retryAfterSeconds: 1 });
  const answer = await deps.useEgress
    .request(url, {
      ...request,
      method: request.method as 'GET',
      maxBytes: MOST_ANSWER_BYTES,
    })
    .catch((error: unknown) => {
      throw error instanceof EgressRefused ? problemOf(error) : error;
    });
  const text = value.content.reveal();
  const more = placement.kind === 'basic' ? [`${placement.username}:${text}`] : partsOf(key);
  const redact = redactor(text, more);
  const isFull = definition.full_answer && deps.displayEquivalentHosts.has(definition.host);
  return {
    status: answer.status,
    fields: projectAnswer(definition.answer_fields, answer.body, redact),
    body: isFull ? redact(Buffer.from(answer.body).toString('utf8')) : null,
  };
}

const partsOf = (key: AccessKey | undefined) => (key ? [key.secret_access_key, key.session_token ?? ''] : []);

/** The caller learns that, never which address it was. */
function problemOf(cause: EgressRefused): Problem {
  const refused = ['malformed_url', 'not_https', 'credentials_in_url', 'host_not_listed', 'address_refused'];
  return problem(refused.includes(cause.reason) ? 'use_host_refused' : 'use_unreachable', { cause });
}
