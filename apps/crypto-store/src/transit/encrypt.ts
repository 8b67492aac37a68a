import { namedKey } from '@postern/envelope';
import { counted } from './counted.ts';
import { type Operation } from './operation.ts';

/** Plaintext in, sealed message out. */
export const encrypt: Operation = {
  async whole(sealer, plaintext, context) {
    const bytes = await sealer.seal(plaintext, context);
    return { bytes, plaintextBytes: plaintext.length, sealed: namedKey(bytes) };
  },
  async stream(sealer, plaintext, context, count) {
    const { named, pieces } = await sealer.sealStream(counted(plaintext, count), context);
    return { pieces, sealed: named };
  },
};
