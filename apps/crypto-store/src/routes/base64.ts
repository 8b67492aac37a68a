import { z } from 'zod';

/** At most that many bytes, as base64 with its padding (RFC 4648 section 4). */
export const base64Of = (maxBytes: number) =>
  z
    .base64()
    .max(4 * Math.ceil(maxBytes / 3))
    .describe(`at most ${maxBytes} bytes in base64`);
