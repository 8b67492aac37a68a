import { type BranchKeys } from '@postern/branch-keys';
import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { problem } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { findKey, purpose } from '../keys/find-key.ts';
import { answerOf, keyAnswer } from '../keys/key-answer.ts';
import { reaching } from '../records/reaching.ts';
import { keyResource } from './key-resource.ts';

export type RotateKey = {
  db: Kysely<Schema>;
  keys: BranchKeys;
  profile: Pick<Profile, 'keyRotationDays'>;
};

/** A new version of a key; what was sealed under those before is opened as before. */
export const rotateKeyRoute = ({ db, keys, profile }: RotateKey) =>
  route({
    method: 'POST',
    path: '/v1/keys/:purpose/rotate',
    listener: 'api',
    summary: 'Make a new version, under which everything is sealed from now on',
    description: 'What was sealed before is opened as before. `/v1/keys/records/rewrap` seals records anew.',
    scope: 'keys:write',
    role: 'admin',
    audit: 'key.rotated',
    params: z.strictObject({ purpose }),
    answers: { 200: keyAnswer },
    problems: ['key_not_found', 'key_state_conflict', 'keys_unavailable'],
    async handle({ principal, params }, audit) {
      const { tenant } = principal;
      const key = await findKey(queryIn(db), tenant, params.purpose);
      if (key.state !== 'enabled') throw problem('key_state_conflict');
      const prepared = await reaching(keys.prepareRotation(key.branchKeyId));
      const released = await db.transaction().execute(async (tx) => {
        if ((await prepared.commit(queryIn(tx))) === null) throw problem('key_state_conflict');
        const rotated = await findKey(queryIn(tx), tenant, params.purpose);
        const what = { resource: keyResource(rotated), details: { purpose: params.purpose, keyId: key.branchKeyId } };
        return audit.within(tx, what, { status: 200, body: answerOf(rotated, profile.keyRotationDays) });
      });
      await keys.recheck(key.branchKeyId);
      return released;
    },
  });
