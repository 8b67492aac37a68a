import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { openIntrospection } from '../src/index.ts';
import {
  close,
  follow,
  issuer,
  known,
  mint,
  now,
  open,
  pass,
  profile,
  renew,
  restore,
  revoke,
  source,
  token,
  until,
} from './revocations/scene.ts';
import { theSequence } from './revocations/sequence.ts';
import { following } from './revocations/following.ts';

beforeAll(open);
afterAll(close);
beforeEach(renew);
afterEach(restore);

theSequence();
following();

test('introspection knows its own living tokens, and one answer for everything else (RFC 7662)', async () => {
  const world = follow(source());
  await known(world);
  const introspection = openIntrospection({
    issuer,
    kind: 'postern-access',
    profile,
    revocations: world.followed,
    now,
  });
  const { token: minted, tokenId } = await mint();
  expect(await introspection.living(minted)).toMatchObject({ tokenId, tenant: 'acme' });
  expect(await introspection.living(`${minted.slice(0, -4)}AAAA`)).toBeNull();
  expect(await introspection.living('opaque')).toBeNull();
  await revoke(token(tokenId));
  await until(async () => (await introspection.living(minted)) === null);
  const { token: expired } = await mint();
  pass(301_000);
  expect(await introspection.living(expired)).toBeNull();
});
