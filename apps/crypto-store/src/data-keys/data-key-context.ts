import { callersPairs, PURPOSE, type EncryptionContext } from '@postern/envelope';
import { DATA_KEYS } from '../transit/purposes.ts';

/** The whole context of a message that a caller seals with a data key of ours (R30). */
export const dataKeyContext = (pairs: EncryptionContext): EncryptionContext => ({
  ...callersPairs(pairs),
  [PURPOSE]: DATA_KEYS,
});
