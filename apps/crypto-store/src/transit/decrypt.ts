import { namedKey } from '@postern/envelope';
import { counted } from './counted.ts';
import { type Operation } from './operation.ts';

/** Sealed message in, plaintext out. */
export const decrypt: Operation = {
  async whole(sealer, message, context) {
    const bytes = await sealer.open(message, context);
    return { bytes, plaintextBytes: bytes.length, opened: namedKey(message) };
  },
  async stream(sealer, message, context, count) {
    const { named, pieces } = await sealer.openStream(message, context);
    return { pieces: counted(pieces, count), opened: named };
  },
};
