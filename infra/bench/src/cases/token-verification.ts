import { createTokenVerifier } from '@postern/oidc';
import { profileNamed } from '@postern/profile';
import { createLocalJWKSet, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';

import { perCpuSecond, type Case } from '../measure.ts';

const ISSUER = 'https://token-exchange.example.internal';
const THUMBPRINT = 'q2Zb7w3v1jv6yYk0m2pXbG8e4r5t6y7u8i9o0pAsDfg';

/** A verified token seen again: everything but the signature is checked every time (R13). */
export const cachedVerification: Case = {
  name: 'oidc/verify-cached',
  unit: 'verifications per CPU second',
  against: "jose's jwtVerify with keys in memory",
  goal: { atLeast: 20 },
  async prepare() {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }] };
    const token = await new SignJWT({
      client_id: 'job',
      scope: 'records:read records:write',
      tenant: 'acme',
      original_iss: 'https://idp.example.internal/realms/acme',
      act: { sub: 'job' },
      cnf: { 'x5t#S256': THUMBPRINT },
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })
      .setIssuer(ISSUER)
      .setSubject('0a1b2c3d')
      .setAudience('crypto-store')
      .setIssuedAt()
      .setJti('0190')
      .setExpirationTime('10m')
      .sign(privateKey);
    const verifier = createTokenVerifier({
      issuers: [
        {
          issuer: ISSUER,
          jwksUri: `${ISSUER}/.well-known/jwks.json`,
          kinds: ['postern-access'],
          algorithms: ['ES256'],
          scopeCeiling: 'policy',
          tenant: { claim: 'tenant' },
        },
      ],
      audience: 'crypto-store',
      kinds: ['postern-access'],
      profile: profileNamed('fedramp-moderate'),
      fetchJwks: async () => jwks,
    });
    const presented = { certificateThumbprint: THUMBPRINT, workload: 'job' };
    const keys = createLocalJWKSet(jwks);
    const expected = { issuer: ISSUER, audience: 'crypto-store', typ: 'at+jwt', algorithms: ['ES256'] };
    return {
      ours: () => perCpuSecond(() => verifier.verify(token, presented)),
      peer: () => perCpuSecond(() => jwtVerify(token, keys, expected)),
      close: async () => verifier.close(),
    };
  },
};
