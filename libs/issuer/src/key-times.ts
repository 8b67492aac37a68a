/** When keys change (R13). Seconds. */
export type KeyTimes = {
  /** A key signs this long before its successor takes over by itself. */
  rotateAfterSeconds: number;
  /**
   * A key is published this long before its first use: longer than any verifier keeps a key set without reading it
   * again, its cool-down included.
   */
  publishAheadSeconds: number;
  /** A replica reads the table again after this long, so that all know a new key well before it signs. */
  reloadAfterSeconds: number;
};

const MINUTE = 60;
const DAY = 24 * 60 * MINUTE;

export const keyTimes: KeyTimes = {
  rotateAfterSeconds: 30 * DAY,
  publishAheadSeconds: 20 * MINUTE,
  reloadAfterSeconds: MINUTE,
};

export type KeySpan = { number: number; signsFrom: Date };

/** The key that signs at that time: the newest whose time has come. */
export function signingAt<Key extends KeySpan>(keys: readonly Key[], at: Date): Key | undefined {
  return keys.filter((key) => key.signsFrom <= at).reduce<Key | undefined>(newer, undefined);
}

const newer = <Key extends KeySpan>(a: Key | undefined, b: Key) => (a === undefined || b.number > a.number ? b : a);

/** The keys to publish: those to come, the one that signs, and older ones while a token of theirs may live. */
export function publishedAt<Key extends KeySpan>(keys: readonly Key[], at: Date, longestLifeSeconds: number): Key[] {
  return keys.filter((key) => {
    const successor = keys.filter(({ number }) => number > key.number).reduce<Key | undefined>(older, undefined);
    return successor === undefined || at.getTime() < successor.signsFrom.getTime() + longestLifeSeconds * 1000;
  });
}

const older = <Key extends KeySpan>(a: Key | undefined, b: Key) => (a === undefined || b.number < a.number ? b : a);
