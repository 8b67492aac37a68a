import { route } from '@postern/http';
import { z } from 'zod';
import { createDataKeys, type DataKeys } from '../data-keys/create-data-keys.ts';

import { reaching } from '../records/reaching.ts';
import { callerContext } from '../transit/caller-context.ts';
import { keyVersionsGuard } from '../transit/key-guard.ts';
import { DATA_KEYS } from '../transit/purposes.ts';
import { recheckKeys } from '../transit/recheck-keys.ts';

const MOST_KEYS = 100;

/** Data keys for a caller who seals by itself, each for one message: `@postern/client` does, in the same format. */
export const createDataKeysRoute = (deps: DataKeys) =>
  route({
    method: 'POST',
    path: '/v1/data-keys',
    listener: 'api',
    summary: 'Data keys to seal with locally, in clear and wrapped; each is for one message',
    scope: 'data-keys:create',
    audit: 'data-key.created',
    body: z.strictObject({
      context: callerContext.optional(),
      count: z.int().min(1).max(MOST_KEYS).default(1).describe('how many keys'),
      wrappedOnly: z.boolean().default(false).describe('no plaintext: for who stores keys for another to use'),
    }),
    answers: {
      200: z.strictObject({
        branchKeyId: z.string().describe('what stands as the key id in the message'),
        context: z.record(z.string(), z.string()).describe('the whole context of the message'),
        dataKeys: z.array(
          z.strictObject({
            plaintext: z.string().optional().describe('the key, 32 bytes in base64: forget it after the one message'),
            wrapped: z.string().describe('the same key wrapped, in base64, for the header of the message'),
          }),
        ),
      }),
    },
    problems: ['ciphertext_refused', 'keys_unavailable'],
    async handle({ principal: { tenant }, body: { context: pairs = {}, count, wrappedOnly }, attempt }, audit) {
      if (attempt > 0) await recheckKeys(deps, tenant, DATA_KEYS);
      const made = await reaching(createDataKeys(deps, { tenant, pairs, count }), 'ciphertext_refused');
      const { branchKeyId, context, dataKeys } = made;
      const guard = keyVersionsGuard(dataKeys.map((sealed) => ({ sealed })));
      const shown = dataKeys.map(({ plaintext, wrapped }) => ({
        ...(wrappedOnly ? {} : { plaintext: plaintext.toString('base64') }),
        wrapped: wrapped.toString('base64'),
      }));
      for (const { plaintext } of dataKeys) plaintext.fill(0);
      return audit.released(
        { details: { count, wrappedOnly }, guard },
        { status: 200, body: { branchKeyId, context, dataKeys: shown } },
      );
    },
  });
