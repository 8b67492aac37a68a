import { problem } from '@postern/runtime';
import { z } from 'zod';

/** The types of bodies that are kept as they came. */
export const CONTENT_TYPES = ['application/octet-stream', 'text/plain; charset=utf-8', 'application/json'] as const;
export type ContentType = (typeof CONTENT_TYPES)[number];

/** A body as it came, and what it is. */
export type Content = { readonly type: ContentType; readonly bytes: Buffer };

/** The schema of a `bytes` body. */
export const content = z.custom<Content>(isContent, 'a body of bytes');

/** Whether a parsed body is one of bytes. */
export function isContent(value: unknown): value is Content {
  return typeof value === 'object' && value !== null && Buffer.isBuffer((value as Partial<Content>).bytes);
}

/**
 * The type that a `Content-Type` header names, in the one spelling that is kept.
 * @throws Problem `unsupported_media_type` for another type, another charset than UTF-8, or another parameter.
 */
export function contentTypeOf(header: string | undefined): ContentType {
  const plain = (header ?? '')
    .toLowerCase()
    .replaceAll(/[\s"]/g, '')
    .replace(/;charset=utf-8$/, '');
  const type = CONTENT_TYPES.find((known) => known.split(';')[0] === plain);
  if (type === undefined) throw problem('unsupported_media_type');
  return type;
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch {
    throw problem('malformed_json');
  }
}

/**
 * The body, once it is what it says it is: text is UTF-8, JSON is JSON.
 * @throws Problem `malformed_request`, `malformed_json`
 */
export function contentOf(type: ContentType, bytes: Buffer, parseJson = json): Content {
  if (type === 'application/json') parseJson(bytes);
  else if (type !== 'application/octet-stream') {
    try {
      utf8.decode(bytes);
    } catch {
      throw problem('malformed_request', { fields: [{ field: 'body', rule: 'not_utf8' }] });
    }
  }
  return { type, bytes };
}
