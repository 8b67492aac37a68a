import { expect, test } from '@jest/globals';
import { ensureScope } from './ensure-scope.ts';
import { PosternError } from './errors.ts';
import { type Exchange } from './exchange.ts';

const asked = { subjectToken: 'subject', audience: 'crypto-store', scopes: ['records:read'] };
const lacking = (...requiredScopes: string[]) =>
  new PosternError('crypto-store', 'insufficient_scope', { status: 403, requiredScopes });

function recordedExchange() {
  const scopeSets: string[] = [];
  const exchange: Exchange = async ({ scopes }) => {
    scopeSets.push(scopes.join(' '));
    return { accessToken: scopes.join(' '), issuedTokenType: 'urn', scopes: [...scopes], expiresAt: new Date(0) };
  };
  return { exchange, scopeSets };
}

test('a call that lacks a scope is made again with a token that has it, from the same subject token', async () => {
  const { exchange, scopeSets } = recordedExchange();
  const done = await ensureScope(exchange, asked, async (token) => {
    if (!token.includes('records:write')) throw lacking('records:write');
    return token;
  });
  expect(done).toBe('records:read records:write');
  expect(scopeSets).toEqual(['records:read', 'records:read records:write']);
});

test('a service that asks for ever more is left after two steps up, one that asks for what was given at once', async () => {
  const { exchange, scopeSets } = recordedExchange();
  let more = 0;
  await expect(ensureScope(exchange, asked, () => Promise.reject(lacking(`scope-${(more += 1)}`)))).rejects.toThrow(
    'insufficient_scope',
  );
  expect(scopeSets).toHaveLength(3);
  const second = recordedExchange();
  await expect(ensureScope(second.exchange, asked, () => Promise.reject(lacking('records:read')))).rejects.toThrow(
    'insufficient_scope',
  );
  expect(second.scopeSets).toHaveLength(1);
});
