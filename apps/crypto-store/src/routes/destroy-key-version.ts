import { denyVersion, type BranchKeys } from '@postern/branch-keys';
import { route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { problem, type Now } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { countUse, isCertified } from '../keys/certificate.ts';
import { findKey, findVersion, purpose, versionNumber } from '../keys/find-key.ts';
import { answerOf, keyAnswer } from '../keys/key-answer.ts';
import { keyResource } from './key-resource.ts';

export type DestroyKeyVersion = {
  db: Kysely<Schema>;
  keys: BranchKeys;
  profile: Pick<Profile, 'keyRotationDays'>;
  /** Longest time that a key stays in a replica's memory. */
  keyCacheTtlMs: number;
  /** Null where no list of destroyed keys is kept: then nothing is destroyed. */
  destructionWaitHours: number | null;
  now: Now;
};

/** Only what a certificate says protects nothing, and still protects nothing, is destroyed (R31); and after the wait of R33. */
export const destroyKeyVersion = ({ db, keys, profile, keyCacheTtlMs, destructionWaitHours, now }: DestroyKeyVersion) =>
  route({
    method: 'DELETE',
    path: '/v1/keys/:purpose/versions/:number',
    listener: 'api',
    summary: 'Destroy a version that a certificate says protects nothing',
    description:
      'Denied at once, destroyed when no replica can hold it any more. Wants the certificate of a rewrap, and that still nothing is sealed under it.',
    scope: 'keys:write',
    role: 'admin',
    audit: 'key.changed',
    params: z.strictObject({ purpose, number: versionNumber }),
    answers: { 202: keyAnswer },
    problems: ['key_not_found', 'key_state_conflict', 'key_certificate_missing', 'destruction_unavailable'],
    async handle({ principal, params: { purpose: of, number } }, audit) {
      if (destructionWaitHours === null) throw problem('destruction_unavailable');
      const { branchKeyId } = await findKey(queryIn(db), principal.tenant, of);
      const released = await db.transaction().execute(async (tx) => {
        const query = queryIn(tx);
        const key = await findKey(query, principal.tenant, of);
        const { version } = findVersion(key, number);
        const used = (await countUse(query, key)).some((one) => one.version === version && one.messages > 0);
        if (used || !(await isCertified(query, branchKeyId, version))) throw problem('key_certificate_missing');
        const at = now();
        const after = new Date(at.getTime() + keyCacheTtlMs);
        if (!(await denyVersion(query, { branchKeyId, number, after, now: at }))) throw problem('key_state_conflict');
        const denied = await findKey(query, principal.tenant, of);
        const details = { purpose: of, keyId: branchKeyId, version: number, state: 'destroying' };
        return audit.within(
          tx,
          { resource: keyResource(key), details },
          { status: 202, body: answerOf(denied, profile.keyRotationDays) },
        );
      });
      await keys.recheck(branchKeyId);
      return released;
    },
  });
