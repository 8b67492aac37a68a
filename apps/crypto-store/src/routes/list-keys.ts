import { describeKeys } from '@postern/branch-keys';
import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { answerOf, keyAnswer } from '../keys/key-answer.ts';

export type ListKeys = {
  db: Kysely<Schema>;
  profile: Pick<Profile, 'keyRotationDays'>;
};

/** The tenant's keys, each with its versions. */
export const listKeysRoute = ({ db, profile }: ListKeys) =>
  route({
    method: 'GET',
    path: '/v1/keys',
    listener: 'api',
    summary: 'The keys of the tenant, with their versions',
    scope: 'keys:read',
    audit: 'key.listed',
    answers: { 200: z.strictObject({ keys: z.array(keyAnswer) }) },
    async handle({ principal }, audit) {
      const keys = await describeKeys(queryIn(db), principal.tenant);
      const body = { keys: keys.map((key) => answerOf(key, profile.keyRotationDays)) };
      return audit.released({ details: { count: keys.length } }, { status: 200, body });
    },
  });
