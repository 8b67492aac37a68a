import {
  setKeyState,
  setMinimumDecryptVersion,
  setRotationDays,
  setVersionState,
  denyVersion,
  describeKeys,
  type BranchKeys,
} from '@postern/branch-keys';
import { route, type Route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Profile } from '@postern/profile';
import { problem, type Now } from '@postern/runtime';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { countUse, isCertified } from '../keys/certificate.ts';
import { findKey, findVersion, purpose, versionNumber } from '../keys/find-key.ts';
import { answerOf, keyAnswer } from '../keys/key-answer.ts';
import { reaching } from '../records/reaching.ts';

export type KeyRoutes = {
  db: Kysely<Schema>;
  keys: BranchKeys;
  profile: Pick<Profile, 'keyRotationDays'>;
  /** Longest time that a key stays in a replica's memory. */
  keyCacheTtlMs: number;
  /** Null where no list of destroyed keys is kept: then nothing is destroyed. */
  destructionWaitHours: number | null;
  now: Now;
};

const READ = 'keys:read';
const WRITE = 'keys:write';
const ADMIN = 'admin';

/** The tenant's keys: state, rotation, schedule, versions. What they are for callers' own messages stays with the callers. */
export const keyRoutes = (deps: KeyRoutes): Route[] => [
  listKeys(deps),
  getKey(deps),
  rotateKey(deps),
  changeKey(deps),
  changeVersion(deps),
  destroyVersion(deps),
];

const listKeys = ({ db, profile }: KeyRoutes) =>
  route({
    method: 'GET',
    path: '/v1/keys',
    listener: 'api',
    summary: 'The keys of the tenant, with their versions',
    scope: READ,
    audit: 'key.listed',
    answers: { 200: z.strictObject({ keys: z.array(keyAnswer) }) },
    async handle({ principal }, audit) {
      const keys = await describeKeys(queryIn(db), principal.tenant);
      const body = { keys: keys.map((key) => answerOf(key, profile.keyRotationDays)) };
      return audit.released({ details: { count: keys.length } }, { status: 200, body });
    },
  });

const getKey = ({ db, profile }: KeyRoutes) =>
  route({
    method: 'GET',
    path: '/v1/keys/:purpose',
    listener: 'api',
    summary: 'One key of the tenant',
    scope: READ,
    audit: 'key.listed',
    params: z.strictObject({ purpose }),
    answers: { 200: keyAnswer },
    problems: ['key_not_found'],
    async handle({ principal, params }, audit) {
      const key = await findKey(queryIn(db), principal.tenant, params.purpose);
      return audit.released(
        { resource: resourceOf(key), details: { count: 1 } },
        { status: 200, body: answerOf(key, profile.keyRotationDays) },
      );
    },
  });

const rotateKey = ({ db, keys, profile }: KeyRoutes) =>
  route({
    method: 'POST',
    path: '/v1/keys/:purpose/rotate',
    listener: 'api',
    summary: 'Make a new version, under which everything is sealed from now on',
    description: 'What was sealed before is opened as before. `/v1/keys/records/rewrap` seals records anew.',
    scope: WRITE,
    role: ADMIN,
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
        const what = { resource: resourceOf(rotated), details: { purpose: params.purpose, keyId: key.branchKeyId } };
        return audit.within(tx, what, { status: 200, body: answerOf(rotated, profile.keyRotationDays) });
      });
      await keys.recheck(key.branchKeyId);
      return released;
    },
  });

const changeKey = ({ db, keys, profile }: KeyRoutes) =>
  route({
    method: 'PATCH',
    path: '/v1/keys/:purpose',
    listener: 'api',
    summary: 'Change state, schedule or minimum decrypt version',
    description: 'A disabled key neither seals nor opens. Other replicas follow within the time that they keep keys.',
    scope: WRITE,
    role: ADMIN,
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
          { resource: resourceOf(key), details },
          { status: 200, body: answerOf(key, profile.keyRotationDays) },
        );
      });
      await keys.recheck(branchKeyId);
      return released;
    },
  });

const changeVersion = ({ db, keys, profile, now }: KeyRoutes) =>
  route({
    method: 'PATCH',
    path: '/v1/keys/:purpose/versions/:number',
    listener: 'api',
    summary: 'Disable an older version, or let it open again',
    scope: WRITE,
    role: ADMIN,
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
          resource: resourceOf(key),
          details: { purpose: of, keyId: branchKeyId, version: number, state },
        };
        return audit.within(tx, what, { status: 200, body: answerOf(key, profile.keyRotationDays) });
      });
      await keys.recheck(branchKeyId);
      return released;
    },
  });

/** Only what a certificate says protects nothing, and still protects nothing, is destroyed (R31); and after the wait of R33. */
const destroyVersion = ({ db, keys, profile, keyCacheTtlMs, destructionWaitHours, now }: KeyRoutes) =>
  route({
    method: 'DELETE',
    path: '/v1/keys/:purpose/versions/:number',
    listener: 'api',
    summary: 'Destroy a version that a certificate says protects nothing',
    description:
      'Denied at once, destroyed when no replica can hold it any more. Wants the certificate of a rewrap, and that still nothing is sealed under it.',
    scope: WRITE,
    role: ADMIN,
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
          { resource: resourceOf(key), details },
          { status: 202, body: answerOf(denied, profile.keyRotationDays) },
        );
      });
      await keys.recheck(branchKeyId);
      return released;
    },
  });

const resourceOf = ({ branchKeyId }: { branchKeyId: string }) => ({ type: 'key', id: branchKeyId });
