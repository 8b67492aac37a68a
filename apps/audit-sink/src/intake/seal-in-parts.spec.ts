import { createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { ContentRefused, openContent, openTogether, sealContent } from '../subjects/seal-content.ts';
import { sealInParts } from './seal-in-parts.ts';

const subject = (id: string) => ({ id, key: createSecretKey(randomBytes(32)) });
const entry = (bytes = 100) => ({
  id: randomUUID(),
  action: 'record.read',
  salt: randomBytes(32),
  event: Buffer.alloc(bytes, 'x'),
});

test('events of one subject are sealed together, at the last of them, and of each subject under its own key (R28)', () => {
  const [alice, bob] = [subject('alice'), subject('bob')];
  const entries = Array.from({ length: 5 }, () => entry());
  const places = sealInParts(entries, [alice, bob, alice, null, alice]);
  expect(places.map((place) => place && { at: place.sealedWith, has: place.sealed !== null })).toEqual([
    { at: 4, has: false },
    { at: 1, has: true },
    { at: 4, has: false },
    null,
    { at: 4, has: true },
  ]);
  const opened = openTogether(alice.key, places[4]!.sealed!);
  const ofAlice = [0, 2, 4].map((i) => entries[i]!);
  expect([...opened]).toEqual(ofAlice.map(({ id, salt, event }) => [id, { salt, canonical: event }]));
  expect(() => openTogether(bob.key, places[4]!.sealed!)).toThrow(ContentRefused);
});

test('a part holds few events and few bytes, so that a page of events from many parts is small', () => {
  const alice = subject('alice');
  const many = Array.from({ length: 70 }, () => entry());
  const sizes = (entries: typeof many) => {
    const places = sealInParts(
      entries,
      entries.map(() => alice),
    );
    return places.flatMap((place) => (place?.sealed ? [openTogether(alice.key, place.sealed).size] : []));
  };
  expect(sizes(many)).toEqual([32, 32, 6]);
  expect(sizes([entry(20_000), entry(20_000), entry(10), entry(32_768)])).toEqual([1, 2, 1]);
});

test("what was sealed together is not taken for one event's content, nor the other way round", () => {
  const alice = subject('alice');
  const one = entry();
  const [place] = sealInParts([one], [alice]);
  expect(() => openContent(alice.key, one.id, place!.sealed!)).toThrow(ContentRefused);
  expect(() => openTogether(alice.key, sealContent(alice.key, one.id, one.salt, one.event))).toThrow(ContentRefused);
});
