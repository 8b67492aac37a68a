import { problem } from '@postern/runtime';

/** The longest line of an import: a row with its token. */
const LINE_BYTES = 64 * 1024;

/**
 * The lines of a body, as they come: at most one of them is held.
 * @throws Problem `malformed_request` for a line longer than 64 KiB or bytes that are not UTF-8.
 */
export async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  for await (const piece of body) {
    rest += decode(() => decoder.decode(piece, { stream: true }));
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield rest.slice(0, end).trim();
      rest = rest.slice(end + 1);
    }
    if (rest.length > LINE_BYTES)
      throw problem('malformed_request', { fields: [{ field: 'body', rule: 'long_line' }] });
  }
  rest += decode(() => decoder.decode());
  if (rest.trim() !== '') yield rest.trim();
}

function decode(read: () => string): string {
  try {
    return read();
  } catch (cause) {
    throw problem('malformed_request', { fields: [{ field: 'body', rule: 'not_utf8' }], cause });
  }
}
