import { route } from '@postern/http';
import { z } from 'zod';
import { computeMacs, type Macs } from '../macs/compute-macs.ts';
import { reaching } from '../records/reaching.ts';
import { enabledKeyGuard } from '../transit/key-guard.ts';
import { MACS } from '../transit/purposes.ts';
import { recheckKeys } from '../transit/recheck-keys.ts';
import { MAC_BODY_BYTES, macInput } from './mac-input.ts';

/** HMAC-SHA-256 under a key of the tenant that nobody sees. It is no index value: those have a purpose of their own (R30). */
export const computeMac = (deps: Macs) =>
  route({
    method: 'POST',
    path: '/v1/mac',
    listener: 'api',
    summary: 'HMAC-SHA-256 of up to 64 KiB',
    description:
      'Under a key of the tenant that nobody sees, one for each `name`. It is no index value: those have a purpose of their own.',
    scope: 'mac:compute',
    audit: 'mac.computed',
    bodyLimit: MAC_BODY_BYTES,
    body: z.strictObject(macInput),
    answers: { 200: z.strictObject({ mac: z.string().describe('32 bytes in base64') }) },
    problems: ['ciphertext_refused', 'keys_unavailable'],
    async handle({ principal: { tenant }, body: { name, input }, attempt }, audit) {
      if (attempt > 0) await recheckKeys(deps, tenant, MACS);
      const at = { tenant, purpose: MACS, name };
      const computing = computeMacs(deps, at, [Buffer.from(input, 'base64')]);
      const { branchKeyId, macs } = await reaching(computing, 'ciphertext_refused');
      const mac = macs[0]?.toString('base64') ?? '';
      return audit.released({ details: { name }, guard: enabledKeyGuard(branchKeyId) }, { status: 200, body: { mac } });
    },
  });
