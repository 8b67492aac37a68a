import { type KmsAsk } from './role-permissions.ts';

type Body = {
  KeyId?: string;
  CiphertextBlob?: string;
  SourceKeyId?: string;
  DestinationKeyId?: string;
  EncryptionContext?: Record<string, string>;
  SourceEncryptionContext?: Record<string, string>;
  DestinationEncryptionContext?: Record<string, string>;
};

const KEY_ID_BYTES = 36;

/** What a request of the KMS JSON protocol asks for; ReEncrypt asks two things (KMS Developer Guide, "ReEncrypt"). */
export function asksOf(operation: string, text: string): KmsAsk[] {
  const body = JSON.parse(text) as Body;
  if (operation === 'ReEncrypt') {
    return [
      { action: 'kms:ReEncryptFrom', keyArn: body.SourceKeyId ?? '', context: body.SourceEncryptionContext ?? {} },
      {
        action: 'kms:ReEncryptTo',
        keyArn: body.DestinationKeyId ?? '',
        context: body.DestinationEncryptionContext ?? {},
      },
    ];
  }
  return [{ action: `kms:${operation}`, keyArn: body.KeyId ?? '', context: body.EncryptionContext ?? {} }];
}

/**
 * Whether a request names the key that its ciphertext is of. The emulator does not look at ReEncrypt's source; its
 * ciphertexts begin with the key's id.
 */
export function namesItsKey(operation: string, text: string): boolean {
  const { CiphertextBlob, KeyId, SourceKeyId } = JSON.parse(text) as Body;
  const named = operation === 'ReEncrypt' ? SourceKeyId : KeyId;
  if (CiphertextBlob === undefined || named === undefined) return true;
  const id = Buffer.from(CiphertextBlob, 'base64').subarray(0, KEY_ID_BYTES).toString('latin1');
  return !/^[0-9a-f-]{36}$/.test(id) || named.endsWith(id);
}
