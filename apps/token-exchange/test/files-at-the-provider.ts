import { policyDocument, type PolicyDocument } from '@postern/policy';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { policy } from './token-exchange.ts';

/** The development policy, with an audience that the realm mints for, open to the job of a grant. */
export function filesAt(audience: string, names: readonly string[]): PolicyDocument {
  const longestLifeSeconds = 600;
  const outside = { audience, description: 'Files', minter: 'provider', longestLifeSeconds } as const;
  const subjects = [{ kind: 'grant', clients: ['job'], person: 'required' }] as const;
  return policyDocument.parse({
    ...policy,
    version: 'provider-exchange',
    targets: [...policy.targets, outside],
    scopes: [
      ...policy.scopes,
      ...names.map((name) => ({
        name,
        description: 'Files',
        audience,
        risk: 'low',
        decision: 'auto_approve',
        longestLifeSeconds,
      })),
    ],
    workloads: policy.workloads.map((one) =>
      one.name === 'job' ? { ...one, asks: [...one.asks, { audience, scopes: names, subjects }] } : one,
    ),
  });
}

/** A client's key, and proofs of it for the realm's token endpoint (RFC 9449). */
export async function clientKey(htu: string) {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  const jwk = await exportJWK(publicKey);
  const proof = () =>
    new SignJWT({ htm: 'POST', htu, jti: crypto.randomUUID() })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
      .setIssuedAt()
      .sign(privateKey);
  return { proof, thumbprint: await calculateJwkThumbprint(jwk) };
}
