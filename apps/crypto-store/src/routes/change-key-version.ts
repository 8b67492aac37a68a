import { setVersionState, type BranchKeys } from '@postern/branch-keys';
import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { problem, type Now } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { findKey, findVersion, purpose, versionNumber } from '../keys/find-key.ts';
import { answerOf, keyAnswer } from '../keys/key-answer.ts';
import { keyResource } from './key-resource.ts';

export type ChangeKeyVersion = {
  db: Kysely<Schema>;
  keys: BranchKeys;
  profile: Pick<Profile, 'keyRotationDays'>;
  now: Now;
};

/** An older version, which opens or does not; under the active one everything is sealed. */
export const changeKeyVersion = ({ db, keys, profile, now }: ChangeKeyVersion) =>
  route({
    method: 'PATCH',
    path: '/v1/keys/:purpose/versions/:number',
    listener: 'api',
    summary: 'Disable an older version, or let it open again',
    scope: 'keys:write',
    role: 'admin',
    audit: 'key.changed',
    params: z.strictObject({ purpose, number: versionNumber }),
    body: z.strictObject({ state: z.enum(['decrypt-only', 'disabled']) }),
    answers: { 200: keyAnswer },
    problems: ['key_not_found', 'key_state_conflict'],
    async handle({ principal, params: { purpose: of, number }, body: { state } }, audit) {
      const { branchKeyId } = await findKey(queryIn(db), principal.tenant, of);
      const released = await db.transaction().execute(async (tx) => {
        const query = queryIn(tx);
        findVersion(await findKey(query, principal.tenant, of), number);
        if (!(await setVersionState(query, { branchKeyId, number, to: state, now: now() }))) {
          throw problem('key_state_conflict');
        }
        const key = await findKey(query, principal.tenant, of);
        const what = {
          resource: keyResource(key),
          details: { purpose: of, keyId: branchKeyId, version: number, state },
        };
        return audit.within(tx, what, { status: 200, body: answerOf(key, profile.keyRotationDays) });
      });
      await keys.recheck(branchKeyId);
      return released;
    },
  });
