import { timingSafeEqual } from 'node:crypto';
import { route } from '@postern/http';
import { z } from 'zod';
import { computeMacs, type Macs } from '../macs/compute-macs.ts';
import { reaching } from '../records/reaching.ts';
import { enabledKeyGuard } from '../transit/key-guard.ts';
import { MACS } from '../transit/purposes.ts';
import { recheckKeys } from '../transit/recheck-keys.ts';
import { base64Of } from './base64.ts';
import { MAC_BODY_BYTES, macInput } from './mac-input.ts';

const MAC_BYTES = 32;

/** Whether a MAC is ours; compared in constant time, and only whole: a shorter one is not valid. */
export const verifyMac = (deps: Macs) =>
  route({
    method: 'POST',
    path: '/v1/mac/verify',
    listener: 'api',
    summary: 'Whether an HMAC-SHA-256 is one of /v1/mac',
    scope: 'mac:verify',
    audit: 'mac.verified',
    bodyLimit: MAC_BODY_BYTES,
    body: z.strictObject({ ...macInput, mac: base64Of(MAC_BYTES) }),
    answers: {
      200: z.strictObject({
        valid: z.boolean().describe('whether it is the one of this name and input; compared in constant time'),
      }),
    },
    problems: ['ciphertext_refused', 'keys_unavailable'],
    async handle({ principal: { tenant }, body: { name, input, mac }, attempt }, audit) {
      if (attempt > 0) await recheckKeys(deps, tenant, MACS);
      const at = { tenant, purpose: MACS, name };
      const computing = computeMacs(deps, at, [Buffer.from(input, 'base64')]);
      const { branchKeyId, macs } = await reaching(computing, 'ciphertext_refused');
      const [ours, given] = [macs[0], Buffer.from(mac, 'base64')];
      const valid = ours !== undefined && given.length === ours.length && timingSafeEqual(ours, given);
      return audit.released(
        { details: { name, valid }, guard: enabledKeyGuard(branchKeyId) },
        { status: 200, body: { valid } },
      );
    },
  });
