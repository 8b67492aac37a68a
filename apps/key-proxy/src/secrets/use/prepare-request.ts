import { problem, type Secret } from '@postern/runtime';
import { type UseDefinition } from './use-definition.ts';

/** What a caller asks a secret to be used for. */
export type AskedUse = {
  method: UseDefinition['methods'][number];
  path: string;
  query: Readonly<Record<string, string>>;
  headers: Readonly<Record<string, string>>;
  body?: string | Uint8Array | undefined;
};

export type PreparedRequest = {
  url: string;
  method: string;
  headers: Record<string, string>;
  body?: string | Uint8Array;
};

const SEGMENT = /^[A-Za-z0-9._~-]+$/;
/** What may stand in a header or after a colon in Basic credentials; anything else would end or split the field. */
const FIELD_TEXT = /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/;

/**
 * The request that goes out: the definition's host, the asked path where the pattern allows it, and the secret in its
 * place. Nothing of what the caller gives can name another host, another identity or another framing.
 * @throws Problem `use_not_allowed` naming what is not, `use_impossible` where the value cannot stand in its place
 */
export function prepareRequest(definition: UseDefinition, asked: AskedUse, value: Secret): PreparedRequest {
  assertAllowed(definition, asked);
  const headers: Record<string, string> = { ...asked.headers, ...definition.headers };
  const url = new URL(`https://${definition.host}${asked.path}`);
  // Read back, so that no reading of a URL but ours decides what is asked for.
  if (url.pathname !== asked.path || url.host !== new URL(`https://${definition.host}`).host) throw refused('path');
  for (const [name, text] of Object.entries(asked.query)) url.searchParams.append(name, text);
  const { placement } = definition;
  const text = value.reveal();
  if (placement.kind === 'query') url.searchParams.append(placement.name, text);
  // Signed as a whole, when it stands.
  else if (placement.kind === 'sigv4') return { url: url.href, method: asked.method, headers, ...bodyOf(asked) };
  else if (placement.kind === 'basic') {
    headers['authorization'] = `Basic ${Buffer.from(`${placement.username}:${text}`, 'utf8').toString('base64')}`;
  } else {
    if (!FIELD_TEXT.test(text)) throw problem('use_impossible');
    if (placement.kind === 'bearer') headers['authorization'] = `Bearer ${text}`;
    else headers[placement.name] = `${placement.prefix ?? ''}${text}`;
  }
  return { url: url.href, method: asked.method, headers, ...bodyOf(asked) };
}

const bodyOf = ({ body }: AskedUse) => (body === undefined ? {} : { body });

const refused = (what: string) =>
  problem('use_not_allowed', { fields: [{ field: `body.${what}`, rule: 'not in the definition' }] });

function assertAllowed(definition: UseDefinition, { method, path, query, headers, body }: AskedUse): void {
  if (!definition.methods.includes(method)) throw refused('method');
  if (!fits(definition.path, path)) throw refused('path');
  const { placement } = definition;
  for (const name of Object.keys(query)) {
    if (!definition.caller_query.includes(name) || (placement.kind === 'query' && placement.name === name))
      throw refused('query');
  }
  for (const name of Object.keys(headers)) {
    const fixed = name in definition.headers || (placement.kind === 'header' && placement.name === name);
    if (!definition.caller_headers.includes(name) || fixed) throw refused('headers');
  }
  if (body !== undefined && (method === 'GET' || method === 'HEAD')) throw refused('body');
}

/** Segment by segment, each plain text: no encoding, no dots alone, nothing empty but at the end. */
export function fits(pattern: string, path: string): boolean {
  const wanted = pattern.split('/');
  const given = path.split('/');
  return (
    wanted.length === given.length &&
    wanted.every((segment, at) =>
      segment === '*' ? SEGMENT.test(given[at] ?? '') && !/^\.{1,2}$/.test(given[at] ?? '') : segment === given[at],
    )
  );
}
