import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

/** `name`: lower case letters, digits, `.`, `_`, `-`; each has a key of its own, that nobody sees. */
export type Macs = {
  /** HMAC-SHA-256 (32 bytes) of up to 64 KiB. Scope `mac:compute`. */
  compute(name: string, input: Uint8Array, as: CallAs): Promise<Uint8Array>;
  /** Whether it is that MAC, whole. Scope `mac:verify`. */
  verify(name: string, input: Uint8Array, mac: Uint8Array, as: CallAs): Promise<boolean>;
  /**
   * Up to 100 blind index values: keep one beside a sealed field to find it by equality. They show which fields are alike.
   * Scope `records:read`.
   */
  blindIndex(name: string, values: readonly string[], as: CallAs): Promise<string[]>;
};

export const createMacs = (call: CallService): Macs => ({
  async compute(name, input, as) {
    const body = { name, input: base64(input) };
    const answer = await call({ method: 'POST', path: '/v1/mac', body, scopes: ['mac:compute'] }, as);
    return Buffer.from(shaped<{ mac: string }>('crypto-store', answer, 'mac').mac, 'base64');
  },
  async verify(name, input, mac, as) {
    const body = { name, input: base64(input), mac: base64(mac) };
    const answer = await call({ method: 'POST', path: '/v1/mac/verify', body, scopes: ['mac:verify'] }, as);
    return shaped<{ valid: boolean }>('crypto-store', answer, 'valid').valid;
  },
  async blindIndex(name, values, as) {
    const body = { name, values };
    const answer = await call({ method: 'POST', path: '/v1/blind-index', body, scopes: ['records:read'] }, as);
    return shaped<{ indexes: string[] }>('crypto-store', answer, 'indexes').indexes;
  },
});

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
