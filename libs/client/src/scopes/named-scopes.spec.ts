import { expect, test } from '@jest/globals';
import { scopesNamedBy, scopesOfChallenge } from './named-scopes.ts';

const mcp = (text: string, more = {}) => ({ isError: true, content: [{ type: 'text', text }], ...more });

test.each<[string, unknown, string[]]>([
  ['a tool of MCP, in words', mcp('Insufficient scope. Required scope: mcp:list_files'), ['mcp:list_files']],
  [
    'several, in words',
    mcp('Missing required scopes: mcp:list_files, mcp:health_check'),
    ['mcp:list_files', 'mcp:health_check'],
  ],
  ['quoted', mcp("insufficient_scope: requires scope 'llama:agent_create'."), ['llama:agent_create']],
  [
    'joined by and',
    mcp('Required scopes: mcp:execute_command and mcp:list_files'),
    ['mcp:execute_command', 'mcp:list_files'],
  ],
  ['as JSON in its text', mcp('{"error":"insufficient_scope","required_scope":"mcp:list_files"}'), ['mcp:list_files']],
  [
    'as structured content',
    mcp('denied', { structuredContent: { error: 'insufficient_scope', scope: 'a:b c:d' } }),
    ['a:b', 'c:d'],
  ],
  [
    'as data of JSON-RPC',
    { code: -32001, message: 'Forbidden', data: { required_scopes: ['mcp:list_files'] } },
    ['mcp:list_files'],
  ],
  [
    'Llama Stack, error.message',
    { error: { message: 'Insufficient scope: required scope llama:inference' } },
    ['llama:inference'],
  ],
  [
    'Llama Stack, detail',
    { detail: { error: 'insufficient_scope', required_scope: 'llama:inference' } },
    ['llama:inference'],
  ],
  [
    'an error of an HTTP client, by its headers',
    { headers: { 'WWW-Authenticate': 'Bearer error="insufficient_scope", scope="x:y"' } },
    ['x:y'],
  ],
  ['another error', mcp('No such file: scope/notes.txt'), []],
  ['another error with a scope in it', { error: { message: 'the scope a:b was renamed' } }, []],
  ['nothing', null, []],
])('%s', (_, error, scopes) => {
  expect(scopesNamedBy(error)).toEqual(scopes);
});

test('a hostile error is bounded in depth, length and number, and names only what may be a scope', () => {
  let deep: unknown = { required_scope: 'a:b' };
  for (let at = 0; at < 50; at += 1) deep = { error: deep };
  expect(scopesNamedBy(deep)).toEqual([]);
  expect(scopesNamedBy({ required_scopes: Array.from({ length: 1_000 }, (_, at) => `s:${at}`) })).toHaveLength(16);
  expect(scopesNamedBy({ required_scopes: ['a"b', 'c\nd', 'x'.repeat(200), 'ok:yes'] })).toEqual(['ok:yes']);
  const long = `insufficient scope ${'scope a:b '.repeat(100_000)}`;
  const started = performance.now();
  expect(scopesNamedBy(long)).toEqual([]);
  scopesNamedBy(`insufficient scope ${'scope:'.repeat(2_500)}`);
  expect(performance.now() - started).toBeLessThan(10_000);
});

test('RFC 6750: only insufficient_scope names scopes to step up to', () => {
  expect(scopesOfChallenge('Bearer realm="x", error="insufficient_scope", scope="a:b c"')).toEqual(['a:b', 'c']);
  expect(scopesOfChallenge('Bearer error="invalid_token", scope="a:b"')).toEqual([]);
  expect(scopesOfChallenge(null)).toEqual([]);
});
