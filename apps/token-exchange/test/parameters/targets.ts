import { describe, expect, test } from '@jest/globals';
import { decodeJwt } from 'jose';
import { asking, outcome } from './scene.ts';

/** Audience and resource (RFC 8693, RFC 8707). */
export function targets(): void {
  describe('audience and resource (RFC 8693, RFC 8707): one target is one, however it is named', () => {
    const at = 'https://grants.example.internal';
    test.each<[string, Record<string, string | string[]>, string]>([
      ['by its address', { resource: at, scope: 'grants:read' }, '200 minted'],
      [
        'by both, twice',
        { resource: [at, `${at}/`], audience: ['auth-manager', 'auth-manager'], scope: 'grants:read' },
        '200 minted',
      ],
      ['by its scopes alone', { scope: 'grants:read grants:write' }, '200 minted'],
      ['scopes of two targets', { scope: 'grants:read records:read' }, '400 invalid_target'],
      ['no name at all', {}, '400 invalid_target'],
      ['names that are one', { audience: 'auth-manager crypto-store', scope: 'grants:read' }, '400 invalid_target'],
      [
        'a target of which nothing is asked',
        { audience: ['auth-manager', 'crypto-store'], scope: 'grants:read' },
        '400 invalid_scope',
      ],
      [
        'an address of such a target',
        { resource: at, audience: 'crypto-store', scope: 'records:read' },
        '400 invalid_scope',
      ],
      ['an unknown one beside', { audience: ['auth-manager', 'nowhere'], scope: 'grants:read' }, '400 invalid_target'],
      ['an unknown address', { resource: 'https://elsewhere.example/', scope: 'grants:read' }, '400 invalid_target'],
      ['a relative address', { resource: '/grants', scope: 'grants:read' }, '400 invalid_target'],
      ['an address with a fragment', { resource: `${at}/#a`, scope: 'grants:read' }, '400 invalid_target'],
    ])('%s', async (_, fields, expected) => {
      const reply = await asking(fields);
      expect(outcome(reply)).toBe(expected);
      if (reply.status === 200) expect(decodeJwt(String(reply.body['access_token'])).aud).toBe('auth-manager');
    });
  });
}
