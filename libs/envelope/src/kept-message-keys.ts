import { type KeyObject } from 'node:crypto';
import { type BranchKey } from './branch-key.ts';
import { type Header } from './header.ts';

/** Messages whose keys are kept, over all branch keys. */
const MOST_MESSAGES = 4_096;

type Kept = { header: Buffer; key: KeyObject };
type Generation = { messages: number; of: WeakMap<BranchKey, Map<string, Kept>> };

const empty = (): Generation => ({ messages: 0, of: new WeakMap() });

let young = empty();
let old = empty();

/**
 * The key of a message that was opened lately under this very branch key, or what `open` makes of it: most of what
 * opening a small message costs is finding its key.
 *
 * Why this is safe. A key is found only by a header that is the same in every byte, tag, commitment and wrapped data key
 * included, so it is what `open` would return again, and no key ever serves two headers (R31). The branch key must be at
 * hand: whoever refuses to lend it (destroyed, disabled, too old) is asked before, as ever. And a key lives no longer than
 * the branch key's own stay in memory, which could derive it anyway: the map hangs on that object and goes with it.
 */
export function keptMessageKey(branchKey: BranchKey, header: Header, open: () => KeyObject): KeyObject {
  const { body, end } = header;
  // Body and tag, which stand together in the message.
  const bytes = Buffer.from(body.buffer, body.byteOffset, end);
  const id = header.messageId.toString('latin1');
  const kept = young.of.get(branchKey)?.get(id) ?? old.of.get(branchKey)?.get(id);
  if (kept?.header.equals(bytes) === true) return keep(branchKey, id, kept);
  // A copy: the header is a view, and would hold the whole message in memory.
  return keep(branchKey, id, { header: Buffer.from(bytes), key: open() });
}

/** What is read again moves to the young generation; when that is full, the old one is dropped as a whole. */
function keep(branchKey: BranchKey, id: string, kept: Kept): KeyObject {
  let messages = young.of.get(branchKey);
  if (messages?.get(id) === kept) return kept.key;
  if (young.messages >= MOST_MESSAGES / 2) {
    old = young;
    young = empty();
    messages = undefined;
  }
  if (messages === undefined) young.of.set(branchKey, (messages = new Map()));
  young.messages += 1;
  messages.set(id, kept);
  return kept.key;
}
