import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { type FrontRequest } from '@postern/testing/https-front';
import { referenceOf } from '../src/providers/reference.ts';
import { textValue } from '../src/secrets/secret-value.ts';
import { openSubject, type ConfiguredSubject } from './contract/subjects.ts';

let google: ConfiguredSubject;
beforeAll(async () => {
  google = await openSubject('gcp');
}, 60_000);
afterAll(() => google?.close());
afterEach(() => google.front.fault(null));

const call = () => ({ by: null, signal: AbortSignal.timeout(20_000) });
const write = () => ({ attempt: randomUUID(), tags: {} });
const newReference = () => referenceOf('gcp', { id: randomUUID(), name: 'IN DISABLED state' });
const fails = (code: string) => expect.objectContaining({ code });
const busy = { status: 429, headers: { 'retry-after': '1' }, body: '{}' };
/** The second and later ones of such a call. */
function butTheFirst(verb: string) {
  let seen = 0;
  return ({ url }: FrontRequest) => url.pathname.endsWith(`:${verb}`) && (seen += 1) > 1;
}
const stateOf = async (reference: string) => (await google.provider.describe(reference, call())).state;

test('a deletion that is stopped between two versions is no refusal; done again it ends, and a recovery brings all back', async () => {
  const { provider, front } = google;
  const reference = newReference();
  await provider.create(reference, textValue('one'), write(), call());
  await provider.put(reference, textValue('two'), write(), call());
  front.fault({ answer: busy }, { only: butTheFirst('disable') });
  await expect(provider.delete(reference, call())).rejects.toEqual(fails('provider_unreachable'));
  front.fault(null);
  expect(await stateOf(reference)).toBe('half_deleted');
  // Written to before the deletion is asked for again: that one is deleted, and comes back, as well.
  await provider.put(reference, textValue('three'), write(), call());
  await provider.delete(reference, call());
  expect(await stateOf(reference)).toBe('deleted');

  front.fault({ answer: busy }, { only: butTheFirst('enable') });
  await expect(provider.recover(reference, call())).rejects.toEqual(fails('provider_unreachable'));
  front.fault(null);
  expect(await stateOf(reference)).toBe('half_deleted');
  await provider.recover(reference, call());
  expect(await stateOf(reference)).toBe('live');
  for (const [version, text] of [
    ['1', 'one'],
    ['2', 'two'],
    [null, 'three'],
  ] as const)
    expect((await provider.read(reference, version, call())).value.content.reveal()).toBe(text);
});

test('somebody who changes the secret meanwhile fails no deletion', async () => {
  const { provider, front } = google;
  const reference = newReference();
  await provider.create(reference, textValue('one'), write(), call());
  const error = {
    code: 400,
    status: 'FAILED_PRECONDITION',
    message: `The provided etag does not match for Secret [${reference}].`,
  };
  const conflict = { status: 400, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ error }) };
  front.fault({ answer: conflict }, { times: 1, only: ({ method }) => method === 'PATCH' });
  await provider.delete(reference, call());
  expect(await stateOf(reference)).toBe('deleted');
});

test('a first version that is refused leaves nothing behind', async () => {
  const { provider, front } = google;
  const reference = newReference();
  front.fault({ answer: busy }, { only: ({ url }) => url.pathname.endsWith(':addVersion') });
  await expect(provider.create(reference, textValue('one'), write(), call())).rejects.toEqual(
    fails('provider_throttled'),
  );
  await expect(provider.describe(reference, call())).rejects.toEqual(fails('secret_missing'));
});

test('a version that another one came before, and that is not taken back at once, is no refusal', async () => {
  const { provider, front } = google;
  const reference = newReference();
  const { version: ifVersion } = await provider.create(reference, textValue('one'), write(), call());
  front.fault(
    {
      instead: async (handle) => {
        front.fault({ answer: busy }, { only: ({ url }) => url.pathname.endsWith(':destroy') });
        await provider.put(reference, textValue('of another'), write(), call());
        return handle();
      },
    },
    { only: ({ url }) => url.pathname.endsWith(':addVersion') },
  );
  const put = provider.put(reference, textValue('ours'), { ...write(), ifVersion }, call());
  await expect(put).rejects.toEqual(fails('provider_unreachable'));
  front.fault(null);
  expect((await provider.read(reference, null, call())).value.content.reveal()).toBe('ours');
});
