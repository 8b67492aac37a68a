import { X509Certificate } from 'node:crypto';
import { afterAll, expect, test } from '@jest/globals';
import { developmentCa, issueSelfSigned } from '@postern/testing';
import { verifyChain } from '../src/index.ts';
import { temporaryFolder } from './world.ts';

const folder = await temporaryFolder();
afterAll(() => folder.remove());

const chainOf = (pem: string) =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(([one]) =>
    new X509Certificate(one).raw.toString('base64'),
  );

test('a chain that was verified once is judged again by the time and the anchors of each use (R26)', async () => {
  const { cert, ca } = await developmentCa().issue('crypto-store');
  const x5c = chainOf(cert);
  const leaf = new X509Certificate(cert);
  const verified = () => verifyChain(x5c, ca, new Date()).raw.equals(leaf.raw);
  expect(verified()).toBe(true);
  expect(verified()).toBe(true);
  const after = new Date(leaf.validToDate.getTime() + 1_000);
  const before = new Date(leaf.validFromDate.getTime() - 1_000);
  expect(() => verifyChain(x5c, ca, after)).toThrow('certificate_not_valid_now');
  expect(() => verifyChain(x5c, ca, before)).toThrow('certificate_not_valid_now');
  expect(verified()).toBe(true);
  const others = await issueSelfSigned('crypto-store', { into: folder.path });
  expect(() => verifyChain(x5c, others.cert, new Date())).toThrow('certificate_untrusted');
  expect(verified()).toBe(true);
});
