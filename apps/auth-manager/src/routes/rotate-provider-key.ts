import { route } from '@postern/http';
import type { Principal } from '@postern/oidc';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import type { ProviderKeyUse } from '../db/schema.ts';
import { ownerOf } from '../grants/owner-of.ts';
import { administrators, findProvider, type ProviderRegistry } from '../provider/registry.ts';
import { heldKeys, type KeysAt, makeNextKey } from '../provider/service-keys.ts';

const DEFAULT_LEAD_SECONDS = 900;
const MOST_LEAD_SECONDS = 30 * 24 * 3600;

/** `own` is the operator's provider: that of the administrator's own realm, which has one tenant (R1). */
const rotatedId = z.union([z.uuid(), z.literal('own')]);

async function keysAt(
  deps: ProviderRegistry,
  principal: Principal,
  { id, use }: { id: z.output<typeof rotatedId>; use: ProviderKeyUse },
): Promise<KeysAt> {
  if (id !== 'own')
    return { tenant: principal.tenant, provider: (await findProvider(deps.db, principal.tenant, id)).issuer };
  const { issuer } = deps.providers.operator;
  if (ownerOf(principal).issuer !== issuer) throw problem('provider_not_found');
  if (use === 'client' && deps.providers.keyIsAFile) throw problem('key_is_a_file');
  return { tenant: '', provider: issuer };
}

/**
 * Makes the next key: of the client's assertions (R13), or of its DPoP proofs. At a provider that follows RFC 9449, section 5,
 * no refresh token of a confidential client is bound to the latter, so grants go on.
 */
export const rotateProviderKeyRoute = (deps: ProviderRegistry) =>
  route({
    ...administrators,
    method: 'POST',
    path: '/v1/providers/:id/keys',
    summary:
      'Make the next client or DPoP key: published at once, signing after a while (`own`: for the operator’s provider)',
    scope: 'grants:write',
    audit: 'key.rotated',
    params: z.strictObject({ id: rotatedId }),
    body: z.strictObject({
      use: z.enum(['client', 'dpop']).default('client'),
      active_after_seconds: z
        .int()
        .min(0)
        .max(MOST_LEAD_SECONDS)
        .default(DEFAULT_LEAD_SECONDS)
        .describe(
          'long enough for the provider to have read our keys again, or for its administrator to have entered the new one',
        ),
    }),
    answers: { 201: z.strictObject({ number: z.int().describe('counts the keys'), active_from: z.iso.datetime() }) },
    problems: ['person_required', 'provider_not_found', 'key_is_a_file', 'keys_unavailable'],
    async handle({ principal, params: { id }, body }, audit) {
      const { use } = body;
      const at = await keysAt(deps, principal, { id, use });
      const activeFrom = new Date(deps.now().getTime() + body.active_after_seconds * 1_000);
      // The first key may never have been needed: then it is made before the next.
      await heldKeys(deps, at, use);
      const released = await deps.db.transaction().execute(async (tx) => {
        const number = await makeNextKey(tx, deps, at, { use, activeFrom });
        const what = {
          resource: { type: 'provider', id },
          details: { purpose: `provider-${use}`, keyId: String(number) },
        };
        return audit.within(tx, what, { status: 201, body: { number, active_from: activeFrom.toISOString() } });
      });
      deps.providers.forget(at);
      return released;
    },
  });
