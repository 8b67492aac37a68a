import { expect, test } from '@jest/globals';
import { grantTokenClaims } from './grant-token-claims.ts';

const grant = {
  id: 'g1',
  tenant: 'acme',
  person_issuer: 'https://idp.example/realms/postern',
  person_sub: 'alice',
  acr: '1',
  auth_time: new Date('2026-11-21T10:00:00.900Z'),
};

test('R11: a grant token speaks for the person, acted for by the job, and names the grant but no session', () => {
  const claims = grantTokenClaims(grant, { workload: 'job', audiences: ['crypto-store'] }, ['records:read']);
  expect(claims).toEqual({
    aud: 'token-exchange',
    sub: 'alice',
    subject_issuer: grant.person_issuer,
    tenant: 'acme',
    client_id: 'job',
    scope: 'records:read',
    act: { sub: 'job' },
    grant_id: 'g1',
    audiences: ['crypto-store'],
    acr: '1',
    auth_time: 1795255200,
  });
});

test('R11: what the original login did not say is left out, not invented', () => {
  const claims = grantTokenClaims({ ...grant, acr: null, auth_time: null }, { workload: 'job', audiences: [] }, []);
  expect(claims).not.toHaveProperty('acr');
  expect(claims).not.toHaveProperty('auth_time');
  expect(claims).not.toHaveProperty('sid');
});
