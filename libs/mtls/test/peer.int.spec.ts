import { X509Certificate } from 'node:crypto';
import { afterAll, describe, expect, test } from '@jest/globals';
import { developmentCa, issueSelfSigned, spiffeIdOf, type LeafNames } from '@postern/testing';
import { peerOfCertificate, workloadOf, type WorkloadTable } from '../src/index.ts';
import { temporaryFolder } from './world.ts';

const folder = await temporaryFolder();
afterAll(() => folder.remove());

const table: WorkloadTable = {
  trustDomain: 'dev.postern.internal',
  workloads: [
    { name: 'crypto-store', spiffeId: spiffeIdOf('crypto-store') },
    { name: 'key-proxy', spiffeId: 'spiffe://dev.postern.internal/ns/prod/sa/kp' },
  ],
};

const peer = async (names: LeafNames = {}, workload = 'crypto-store') => {
  // Self-signed, so that the names under test are not stopped by the CA's constraints before they are read.
  const { cert } = await issueSelfSigned(workload, { into: folder.path, ...names });
  return peerOfCertificate(new X509Certificate(cert));
};

test('a certificate of the CA names one workload: thumbprint, common name, SPIFFE id (R4)', async () => {
  const { cert, thumbprint } = await developmentCa().issue('crypto-store');
  const found = peerOfCertificate(new X509Certificate(cert));
  expect(found).toEqual({ thumbprint, commonName: 'crypto-store', spiffeId: spiffeIdOf('crypto-store') });
  expect(workloadOf(found, table)).toBe('crypto-store');
});

describe('R4: a certificate is refused with', () => {
  const uris = (...values: string[]): LeafNames => ({ uris: values });
  test.each<[string, LeafNames]>([
    ['no URI name', uris()],
    ['two URI names', uris(spiffeIdOf('crypto-store'), spiffeIdOf('key-proxy'))],
    ['the same URI name twice', uris(spiffeIdOf('crypto-store'), spiffeIdOf('crypto-store'))],
    ['a URI name that is no SPIFFE id', uris('https://dev.postern.internal/crypto-store')],
    ['a SPIFFE id without a path', uris('spiffe://dev.postern.internal')],
    ['an empty segment', uris('spiffe://dev.postern.internal//crypto-store')],
    ['a trailing slash', uris('spiffe://dev.postern.internal/crypto-store/')],
    ['a dot segment', uris('spiffe://dev.postern.internal/x/../crypto-store')],
    ['a port', uris('spiffe://dev.postern.internal:443/crypto-store')],
    ['user information', uris('spiffe://x@dev.postern.internal/crypto-store')],
    ['a query', uris('spiffe://dev.postern.internal/crypto-store?x')],
    ['an upper-case trust domain', uris('spiffe://DEV.postern.internal/crypto-store')],
    ['a percent-encoded path', uris('spiffe://dev.postern.internal/crypto%2dstore')],
    // Node prints names on one line: a value may try to look like two.
    [
      'a second name smuggled into the first',
      uris('spiffe://dev.postern.internal/x, URI:spiffe://dev.postern.internal/y'),
    ],
    ['a URI name smuggled into a DNS name', { uris: [], dns: ['a, URI:spiffe://dev.postern.internal/crypto-store'] }],
    ['a common name with another in it', { commonName: 'crypto-store\nCN=key-proxy' }],
    ['an empty common name', { commonName: '' }],
    ['a common name of other characters', { commonName: 'Crypto Store' }],
  ])('%s', async (_, names) => {
    await expect(peer(names)).rejects.toMatchObject({ name: 'PeerRefused' });
  });
});

describe('R4: the operator’s table decides who a peer is', () => {
  test.each([
    ['a common name that is not the workload’s', { commonName: 'key-proxy' }, 'certificate_common_name'],
    ['another trust domain', { uris: ['spiffe://prod.postern.internal/crypto-store'] }, 'trust_domain_foreign'],
    [
      'a trust domain that ours begins',
      { uris: ['spiffe://dev.postern.internal.x/crypto-store'] },
      'trust_domain_foreign',
    ],
    ['a SPIFFE id that is not listed', { uris: [spiffeIdOf('portal')] }, 'workload_unknown'],
    ['a longer SPIFFE id', { uris: [`${spiffeIdOf('crypto-store')}/x`] }, 'workload_unknown'],
  ])('refused: %s', async (_, names, reason) => {
    const found = await peer(names);
    expect(() => workloadOf(found, table)).toThrow(expect.objectContaining({ reason }));
  });

  test('the id is looked up, never taken apart', async () => {
    const found = await peer({ uris: ['spiffe://dev.postern.internal/ns/prod/sa/kp'] }, 'key-proxy');
    expect(workloadOf(found, table)).toBe('key-proxy');
  });
});
