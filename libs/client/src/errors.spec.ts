import { expect, test } from '@jest/globals';
import { refusal } from './errors.ts';

test('a problem document keeps its code, detail and fields; nothing else of the answer is kept', () => {
  const fields = [{ field: 'body.key', rule: 'too_small' }];
  const body = {
    type: 'https://postern.example/problems/invalid_request',
    code: 'invalid_request',
    detail: 'no',
    fields,
    echo: 'x',
  };
  const error = refusal('crypto-store', 400, { 'x-request-id': 'r-1' }, body);
  expect({ ...error, message: error.message }).toEqual({
    name: 'PosternError',
    message: 'crypto-store: invalid_request: no',
    service: 'crypto-store',
    code: 'invalid_request',
    status: 400,
    detail: 'no',
    fields,
    requestId: 'r-1',
  });
});

test('an OAuth error is told by its error code, RFC 6749 section 5.2', () => {
  const error = refusal('token-exchange', 400, {}, { error: 'invalid_grant', error_description: 'expired' });
  expect(error).toMatchObject({ code: 'invalid_grant', detail: 'expired', status: 400 });
});

test('a 403 that lacks a scope names the scopes to step up to, RFC 6750 section 3', () => {
  const headers = { 'www-authenticate': 'Bearer error="insufficient_scope", scope="records:write records:read"' };
  const error = refusal('crypto-store', 403, headers, undefined);
  expect(error).toMatchObject({ code: 'insufficient_scope', requiredScopes: ['records:write', 'records:read'] });
});

test('a 503 tells how long to wait, and an answer that is no error document is `unexpected_answer`', () => {
  const error = refusal('audit-sink', 503, { 'retry-after': '2' }, undefined);
  expect(error).toMatchObject({ code: 'unexpected_answer', retryAfterSeconds: 2 });
});
