import { route } from '@postern/http';
import { z } from 'zod';
import { computeMacs, type Macs } from '../macs/compute-macs.ts';
import { reaching } from '../records/reaching.ts';
import { RECORDS } from '../records/record-context.ts';
import { enabledKeyGuard } from '../transit/key-guard.ts';
import { recheckKeys } from '../transit/recheck-keys.ts';
import { keyName } from './mac-input.ts';
import { namespaceOf } from './namespace.ts';

const KIB = 1024;
const MOST_VALUES = 100;
const MAX_CHARACTERS = 512;

/**
 * Blind index values: to find sealed fields by equality without opening them, a caller keeps them beside what it sealed.
 * Equal values have equal ones, so they show which rows are alike, and whoever may compute them can guess: the scope is
 * that of reading records (R30). A key of its own for each workload and name.
 */
export const computeIndex = (deps: Macs) =>
  route({
    method: 'POST',
    path: '/v1/blind-index',
    listener: 'api',
    summary: 'Values by which sealed fields are found without being opened',
    description:
      'To be kept beside what was sealed. Equal values have equal ones, so they show which rows are alike, and whoever may compute them can guess. A key of its own for each workload and `name`.',
    scope: 'records:read',
    audit: 'index.computed',
    bodyLimit: 512 * KIB,
    body: z.strictObject({
      name: keyName,
      values: z
        .array(
          z
            .string()
            .max(MAX_CHARACTERS)
            .refine((value) => value.isWellFormed(), 'well-formed text'),
        )
        .min(1)
        .max(MOST_VALUES)
        .describe('taken as they are: settle spelling, case and spaces before'),
    }),
    answers: {
      200: z.strictObject({ indexes: z.array(z.string()).describe('43 characters each, in the same order') }),
    },
    problems: ['ciphertext_refused', 'keys_unavailable'],
    async handle({ principal: { tenant }, workload, body: { name, values }, attempt }, audit) {
      const namespace = namespaceOf(workload);
      if (attempt > 0) await recheckKeys(deps, tenant, RECORDS);
      const at = { tenant, purpose: RECORDS, name: `index ${namespace} ${name}` };
      const inputs = values.map((value) => Buffer.from(value));
      const { branchKeyId, macs } = await reaching(computeMacs(deps, at, inputs), 'ciphertext_refused');
      return audit.released(
        { details: { name, count: values.length }, guard: enabledKeyGuard(branchKeyId) },
        { status: 200, body: { indexes: macs.map((mac) => mac.toString('base64url')) } },
      );
    },
  });
