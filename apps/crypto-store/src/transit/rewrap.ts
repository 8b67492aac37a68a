import { namedKey } from '@postern/envelope';
import { counted } from './counted.ts';
import { type Operation } from './operation.ts';

/**
 * Sealed message in, another of the same plaintext and context out, under the active key version. The body is encrypted
 * anew, with a new data key and message id: a header is never edited (R31). The caller sees no plaintext.
 */
export const rewrap: Operation = {
  async whole(sealer, message, context) {
    const plaintext = await sealer.open(message, context);
    const bytes = await sealer.seal(plaintext, context);
    plaintext.fill(0);
    return { bytes, plaintextBytes: plaintext.length, opened: namedKey(message), sealed: namedKey(bytes) };
  },
  async stream(sealer, message, context, count) {
    const opened = await sealer.openStream(message, context);
    const sealed = await sealer.sealStream(counted(opened.pieces, count), context);
    return { pieces: sealed.pieces, opened: opened.named, sealed: sealed.named };
  },
};
