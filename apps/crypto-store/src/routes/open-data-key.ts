import { createHash } from 'node:crypto';
import { route } from '@postern/http';
import { z } from 'zod';
import { type DataKeys } from '../data-keys/create-data-keys.ts';
import { openDataKey } from '../data-keys/open-data-key.ts';

import { reaching } from '../records/reaching.ts';
import { callerContext } from '../transit/caller-context.ts';
import { keyVersionsGuard } from '../transit/key-guard.ts';
import { DATA_KEYS } from '../transit/purposes.ts';
import { recheckKeys } from '../transit/recheck-keys.ts';
import { base64Of } from './base64.ts';

/** Bytes of a wrapped data key; another length is refused as any other wrong one is. */
const MAX_WRAPPED_BYTES = 92;

/** The data key of a message that a caller opens by itself. */
export const openDataKeyRoute = (deps: DataKeys) =>
  route({
    method: 'POST',
    path: '/v1/data-keys/decrypt',
    listener: 'api',
    summary: 'A wrapped data key, in clear',
    description:
      'For who opens a message by itself. The context must be that of the sealing; whatever is wrong with key or context, the refusal is one and the same.',
    scope: 'data-keys:decrypt',
    audit: 'data-key.opened',
    body: z.strictObject({ wrapped: base64Of(MAX_WRAPPED_BYTES), context: callerContext.optional() }),
    answers: { 200: z.strictObject({ plaintext: z.string().describe('the key, 32 bytes in base64') }) },
    problems: ['ciphertext_refused', 'keys_unavailable'],
    async handle({ principal: { tenant }, body: { wrapped, context: pairs = {} }, attempt }, audit) {
      if (attempt > 0) await recheckKeys(deps, tenant, DATA_KEYS);
      const asked = { tenant, pairs, wrapped: Buffer.from(wrapped, 'base64') };
      const { plaintext, version } = await reaching(openDataKey(deps, asked), 'ciphertext_refused');
      const body = { plaintext: plaintext.toString('base64') };
      plaintext.fill(0);
      const details = { wrapped: createHash('sha256').update(asked.wrapped).digest('base64url') };
      return audit.released({ details, guard: keyVersionsGuard([{ opened: { version } }]) }, { status: 200, body });
    },
  });
