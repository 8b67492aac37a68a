import { setKeyState, setMinimumDecryptVersion, setRotationDays, type BranchKeys } from '@postern/branch-keys';
import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { problem } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { findKey, purpose } from '../keys/find-key.ts';
import { answerOf, keyAnswer } from '../keys/key-answer.ts';
import { keyResource } from './key-resource.ts';

export type ChangeKey = {
  db: Kysely<Schema>;
  keys: BranchKeys;
  profile: Pick<Profile, 'keyRotationDays'>;
};

/** A key's state, its schedule, and the oldest version that is still opened. */
export const changeKeyRoute = ({ db, keys, profile }: ChangeKey) =>
  route({
    method: 'PATCH',
    path: '/v1/keys/:purpose',
    listener: 'api',
    summary: 'Change state, schedule or minimum decrypt version',
    description: 'A disabled key neither seals nor opens. Other replicas follow within the time that they keep keys.',
    scope: 'keys:write',
    role: 'admin',
    audit: 'key.changed',
    params: z.strictObject({ purpose }),
    body: z
      .strictObject({
        state: z.enum(['enabled', 'disabled']).optional(),
        minimum_decrypt_version: z
          .int()
          .min(1)
          .max(1_000_000)
          .optional()
          .describe('messages under older versions are refused'),
        rotation_days: z
          .int()
          .min(1)
          .max(3_650)
          .nullable()
          .optional()
          .describe("days between rotations; null: the profile's own"),
      })
      .refine((body) => Object.keys(body).length > 0, 'something to change'),
    answers: { 200: keyAnswer },
    problems: ['key_not_found', 'key_state_conflict'],
    async handle({ principal, params, body }, audit) {
      const { branchKeyId } = await findKey(queryIn(db), principal.tenant, params.purpose);
      const { state, minimum_decrypt_version: minimum, rotation_days: days } = body;
      const released = await db.transaction().execute(async (tx) => {
        const query = queryIn(tx);
        const done = [
          days === undefined || (await setRotationDays(query, branchKeyId, days)),
          minimum === undefined || (await setMinimumDecryptVersion(query, branchKeyId, minimum)),
          state === undefined || (await setKeyState(query, branchKeyId, state)),
        ];
        if (done.includes(false)) throw problem('key_state_conflict');
        const key = await findKey(query, principal.tenant, params.purpose);
        const details = {
          purpose: params.purpose,
          keyId: branchKeyId,
          ...(state === undefined ? {} : { state }),
          ...(minimum === undefined ? {} : { minimumDecryptVersion: minimum }),
          ...(days === undefined ? {} : { rotationDays: days ?? profile.keyRotationDays }),
        };
        return audit.within(
          tx,
          { resource: keyResource(key), details },
          { status: 200, body: answerOf(key, profile.keyRotationDays) },
        );
      });
      await keys.recheck(branchKeyId);
      return released;
    },
  });
