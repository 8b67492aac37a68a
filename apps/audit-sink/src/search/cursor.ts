import { problem } from '@postern/runtime';

/** A place in the log, as it stands in answers: opaque to callers, and good for as long as the log is. */
export const cursorAt = (index: number): string => Buffer.from(`i${index}`).toString('base64url');

/** @throws Problem `invalid_input` naming `query.after` */
export function indexOf(cursor: string): number {
  const [, index] = /^i(\d{1,15})$/.exec(Buffer.from(cursor, 'base64url').toString('latin1')) ?? [];
  if (index === undefined) {
    throw problem('invalid_input', { fields: [{ field: 'query.after', rule: 'a cursor of an earlier answer' }] });
  }
  return Number(index);
}
