import { join } from 'node:path';

/** A file of this folder. */
export const place = (path: string): string => join(import.meta.dirname, '..', path);
