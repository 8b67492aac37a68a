import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { IssuerSpec } from '../src/index.ts';

/** AES-256-GCM with the context as associated data: the port's contract, without the envelope's package. */
export function sealUnder(key: Buffer): IssuerSpec['seal'] {
  const aad = (context: Record<string, string>) => Buffer.from(JSON.stringify(context));
  return {
    async seal(plaintext, context) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad(context));
      return Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    async open(message, context) {
      const sealed = Buffer.from(message);
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12), { authTagLength: 16 })
        .setAAD(aad(context))
        .setAuthTag(sealed.subarray(-16));
      return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]);
    },
  };
}
