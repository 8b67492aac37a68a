import type * as client from 'openid-client';

/** Both sides tolerate as much, and an answer's `Date` has whole seconds. */
const TOLERATED_SECONDS = 5;
/** A clock that is further off than this is not followed: something else is wrong. */
const FOLLOWED_SECONDS = 120;

/** Compares the clock of who answers with ours, by the `Date` of the answers (RFC 9110, 6.6.1). */
export function compareClocks() {
  let offset = 0;
  const offsetOf = (answer: Response, sent: number, came: number): number => {
    const theirs = Date.parse(answer.headers.get('date') ?? '');
    if (Number.isNaN(theirs)) return 0;
    // It was dated at some time between the two, up to a second before what it says.
    if (theirs + 1000 < sent) return Math.round((theirs - sent) / 1000);
    return theirs > came ? Math.round((theirs - came) / 1000) : 0;
  };
  return {
    /** Takes the answers of this fetch for the comparison. */
    over:
      (fetch: client.CustomFetch): client.CustomFetch =>
      async (url, options) => {
        const sent = Date.now();
        const answer = await fetch(url, options);
        offset = offsetOf(answer, sent, Date.now());
        return answer;
      },
    /** Seconds by which the other clock is ahead; 0 where it is within what is tolerated. */
    offset: () => (Math.abs(offset) <= TOLERATED_SECONDS ? 0 : offset),
    /** The same, where it is to be followed. */
    followed: () => (Math.abs(offset) <= TOLERATED_SECONDS || Math.abs(offset) > FOLLOWED_SECONDS ? 0 : offset),
  };
}
