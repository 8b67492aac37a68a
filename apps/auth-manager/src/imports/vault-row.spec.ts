import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { Secret } from '@postern/runtime';
import { importHeader, openRow, readRow } from './vault-row.ts';

const key = randomBytes(32);
const token = 'eyJ0.an-old.refresh-token';

function seal(text: string) {
  const iv = randomBytes(16);
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  return { sealed: Buffer.concat([cipher.update(text), cipher.final()]), iv };
}
const rowOf = (over: object = {}) => {
  const { sealed, iv } = seal(token);
  return {
    id: '7',
    user_id: 'alice',
    token_type: 'OFFLINE',
    encrypted_token: sealed.toString('base64'),
    iv: iv.toString('hex'),
    token_hash: createHash('sha256').update(token).digest('hex'),
    attributes: {},
    ...over,
  };
};
const opened = (over: object = {}, with_ = key) => {
  const row = readRow(JSON.stringify(rowOf(over)));
  return row && openRow(row, new Secret(with_.toString('hex')));
};

test('a row of the old store opens with its key, however its bytes were exported', () => {
  expect((opened() as Secret).reveal()).toBe(token);
  const { sealed, iv } = seal(token);
  const bytea = {
    encrypted_token: `\\x${sealed.toString('hex')}`,
    iv: `\\x${iv.toString('hex')}`,
    token_type: 'offline',
  };
  expect((opened(bytea) as Secret).reveal()).toBe(token);
  expect((opened({ token_hash: null }) as Secret).reveal()).toBe(token);
});

test('another key, another hash, and what is no row are told apart and never thrown', () => {
  const other = opened({ token_hash: null }, randomBytes(32));
  expect(other).toBe('undecryptable');
  expect(opened({ token_hash: 'ab'.repeat(32) })).toBe('hash_mismatch');
  for (const line of [
    '',
    '{}',
    'null',
    '[]',
    JSON.stringify(rowOf({ iv: 'ab' })),
    JSON.stringify(rowOf({ token_type: 'X' })),
  ]) {
    expect(readRow(line)).toBeNull();
  }
});

test('the header holds the key in a type that cannot be shown', () => {
  const handle = { workload: 'job', audiences: ['crypto-store'], scopes: ['records:read'] };
  const header = importHeader.parse({
    format: 'auth_vault',
    key: key.toString('hex'),
    scopes: ['records:read'],
    handle,
  });
  expect(JSON.stringify(header)).not.toContain(key.toString('hex'));
});
