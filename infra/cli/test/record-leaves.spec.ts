import { commitmentTo } from '@postern/client';
import { expect, test } from '@jest/globals';
import { recordLeaves, type ProvenPage } from '../src/log/record-leaves.ts';

const salt = Buffer.alloc(32, 7).toString('base64url');
const PSEUDONYM = 'p-acme';
const event = (n: number, action = 'record.written') => ({
  id: `019a0000-0000-7000-8000-00000000000${n}`,
  action,
  outcome: 'success',
  resource: { type: 'record', id: 'r', version: n },
  details: { ciphertextHash: 'a'.repeat(64) },
});
type Event = ReturnType<typeof event>;

/** A verified log of one batch: three writes of the tenant, something else of it, and one write of another tenant. */
const all = [event(1), event(2), event(3), event(4, 'token.issued'), event(5)];
function logOf(leaves = recordLeaves()) {
  const at = { producer: 'crypto-store', epoch: 1, previous: '' };
  for (const [index, one] of all.entries()) {
    const commitment = commitmentTo({ event: one, salt })!;
    leaves.note({ ...at, kind: 'entry', seq: index + 1, id: one.id, action: one.action, commitment }, index);
  }
  leaves.note({ ...at, kind: 'batch', seq: 0, first: 1, last: 5, tenants: { [PSEUDONYM]: '0-3', other: '4' } }, 5);
  return leaves;
}
const SIZE = 6;
const page = (events: Event[], indexes: number[], over: Partial<NonNullable<ProvenPage['evidence']>> = {}) => ({
  events,
  indexes,
  salts: events.map(() => salt),
  evidence: { end: SIZE, pseudonym: PSEUDONYM, erased: [], ...over },
});
const own = all.slice(0, 4);

test('R34: what audit-sink shows is believed where each event is what its leaf commits to, and none of the tenant is missing', () => {
  const pages = [page(own.slice(0, 2), [0, 1], { end: 2 }), page(own.slice(2), [2, 3])];
  expect(logOf().held(pages, SIZE)).toEqual(own);
  expect(logOf().held([page([own[0]!, own[2]!, own[3]!], [0, 2, 3], { erased: [1] })], SIZE)).toHaveLength(3);
});

test('an event that was appended after the log was verified is left out', () => {
  const later = page([...own, event(6)], [0, 1, 2, 3, 9], { end: 10 });
  expect(logOf().held([later], SIZE)).toEqual(own);
});

const altered = { ...event(2), details: { ciphertextHash: 'b'.repeat(64) } };
test.each<[string, string, ReturnType<typeof page>]>([
  [
    'says another hash of a write',
    'event_differs at entry 1',
    page([own[0]!, altered, own[2]!, own[3]!], [0, 1, 2, 3]),
  ],
  ['shows a write at the place of another', 'event_differs at entry 1', page([own[0]!, event(3)], [0, 1])],
  ['shows a write that the log has not', 'event_differs at entry 3', page([event(4)], [3])],
  ['shows a write without its entry', 'event_differs at entry -1', page([own[0]!], [])],
  ['keeps a write back', 'event_missing at entry 1', page([own[0]!, own[2]!, own[3]!], [0, 2, 3])],
  ['ends before the log does', 'list_cut_off at entry 2', page(own.slice(0, 2), [0, 1], { end: 2 })],
])('R34: an audit-sink that %s is found out', (_what, found, shown) => {
  expect(() => logOf().held([shown], SIZE)).toThrow(found);
});
