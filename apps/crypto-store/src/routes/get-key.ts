import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { findKey, purpose } from '../keys/find-key.ts';
import { answerOf, keyAnswer } from '../keys/key-answer.ts';
import { keyResource } from './key-resource.ts';

export type GetKey = {
  db: Kysely<Schema>;
  profile: Pick<Profile, 'keyRotationDays'>;
};

/** One of the tenant's keys, by its purpose. */
export const getKeyRoute = ({ db, profile }: GetKey) =>
  route({
    method: 'GET',
    path: '/v1/keys/:purpose',
    listener: 'api',
    summary: 'One key of the tenant',
    scope: 'keys:read',
    audit: 'key.listed',
    params: z.strictObject({ purpose }),
    answers: { 200: keyAnswer },
    problems: ['key_not_found'],
    async handle({ principal, params }, audit) {
      const key = await findKey(queryIn(db), principal.tenant, params.purpose);
      return audit.released(
        { resource: keyResource(key), details: { count: 1 } },
        { status: 200, body: answerOf(key, profile.keyRotationDays) },
      );
    },
  });
