/** Whom a token is for: one, or several who take the same token (RFC 8693 section 2.1), in any order. */
export type Audiences = string | readonly string[];

/** Each once, as they were named. */
export const audiencesIn = (named: Audiences | undefined): readonly string[] =>
  named === undefined ? [] : typeof named === 'string' ? [named] : [...new Set(named)];

/** One string for the same set. That of one audience is the audience itself, so what is held is found by the caller's very string. */
export const audienceKey = (named: Audiences | undefined): string =>
  typeof named === 'string' ? named : audiencesIn(named).toSorted().join('\0');
