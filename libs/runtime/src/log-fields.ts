/**
 * The names under which text may be logged: identifiers, codes and routes. Nothing that a caller can fill with a secret belongs here;
 * in particular no path, query, header, body, key of a record, subject, address of a person or message of an error.
 */
const LISTED_TEXT = new Set(
  [
    'service environment profile role version listener host address url origin'.split(' '),
    'method route action outcome code reason rule problem scope audience issuer kind tokenId keyId thumbprint'.split(
      ' ',
    ),
    'request trace span event tenant workload client producer epoch'.split(' '),
    'queue job jobId set step steps migration migrations table constraint check checks part state phase signal'.split(
      ' ',
    ),
    'peer provider target operation algorithm names missing mistakes id ids hash root lane purpose tool command notAfter'.split(
      ' ',
    ),
  ].flat(),
);

export const isListedText = (name: string): boolean => LISTED_TEXT.has(name);
