/** A piece of this length of the secret, or of a form of it, is taken for it. */
const PIECE = 8;
const MARK = '[redacted]';

/**
 * Blots out of a text what stands in it of a secret: the whole or any piece of 8 characters, as it is, reversed, in hex, URL-encoded, JSON-escaped,
 * or in base64 at each of its three alignments, in any case. Defence in depth, and incomplete: a shorter piece, another
 * coding, a compressed or encrypted copy gets through. What holds is that answers are not given out at all (R37).
 */
export function redactor(secret: string, more: readonly string[] = []): (text: string) => string {
  const forms = [secret, ...more].flatMap(formsOf).map((form) => form.toLowerCase());
  const pieces = new Set(forms.flatMap(piecesOf));
  const lengths = [...new Set([...pieces].map(({ length }) => length))];
  return (text) => {
    const low = text.toLowerCase();
    // A text whose lower case has another length cannot be blotted out place by place.
    if (low.length !== text.length) return [...pieces].some((piece) => low.includes(piece)) ? MARK : text;
    const hidden = new Uint8Array(text.length);
    for (const length of lengths) {
      for (let at = 0; at + length <= low.length; at += 1) {
        if (pieces.has(low.slice(at, at + length))) hidden.fill(1, at, at + length);
      }
    }
    let shown = '';
    for (let at = 0; at < text.length; at += 1) {
      if (!hidden[at]) shown += text[at];
      else if (!hidden[at - 1]) shown += MARK;
    }
    return shown;
  };
}

function piecesOf(form: string): string[] {
  if (form.length <= PIECE) return form.length === 0 ? [] : [form];
  return Array.from({ length: form.length - PIECE + 1 }, (_, at) => form.slice(at, at + PIECE));
}

function formsOf(text: string): string[] {
  const bytes = Buffer.from(text, 'utf8');
  const aligned = [0, 1, 2].flatMap((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '');
    // The first and last characters also hold bits of what stands around the secret.
    const own = encoded.slice(before === 0 ? 0 : before + 1, (before + bytes.length) % 3 === 0 ? undefined : -1);
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
  return [
    text,
    [...text].toReversed().join(''),
    bytes.toString('hex'),
    encodeURIComponent(text),
    JSON.stringify(text).slice(1, -1),
    ...aligned,
  ];
}
