import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  KMSClient,
  ReEncryptCommand,
  type KMSClientConfig,
} from '@aws-sdk/client-kms';
import { awsRequests } from './aws-requests.ts';
import { KeysUnavailable, RootKeyRefused } from './errors.ts';
import { type RootKey } from './root-key.ts';

export type AwsKmsOptions = {
  /** ARN of a symmetric key; never an alias, because the ARN is bound into every wrapped key. */
  keyArn: string;
  /** Where the credentials come from: `webIdentityCredentials`, or a provider of the SDK. */
  credentials: NonNullable<KMSClientConfig['credentials']>;
  /** Another address than Amazon's: development only (R6). */
  endpoint?: string;
};

const KEY_BYTES = 32;
const ATTEMPTS = 3;
const KEY_ARN = /^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:key\/[A-Za-z0-9-]+$/;

/** What KMS says about a ciphertext, a context or a key, as opposed to not answering. */
const REFUSALS = new Set([
  'InvalidCiphertextException',
  'IncorrectKeyException',
  'InvalidKeyUsageException',
  'NotFoundException',
]);

/**
 * A root key in AWS KMS. Branch keys are made inside KMS and leave it wrapped; in clear they come only from Decrypt.
 * A disabled key, revoked rights and throttling are `KeysUnavailable`: they may pass. A ciphertext or context that is
 * not the wrapped one is `RootKeyRefused`.
 * @throws TypeError when `keyArn` is not a key's ARN.
 */
export function openAwsKmsRootKey({ keyArn, credentials, endpoint }: AwsKmsOptions): RootKey {
  const region = regionOf(keyArn);
  if (region === undefined) throw new TypeError('the root key is named by the ARN of a KMS key');
  const kms = new KMSClient({
    region,
    credentials,
    maxAttempts: ATTEMPTS,
    requestHandler: awsRequests,
    ...(endpoint === undefined ? {} : { endpoint }),
  });

  return {
    arn: keyArn,
    // ReEncrypt stays within a region; which keys of it we may use is the role's policy.
    holds: (arn) => regionOf(arn) === region,
    async wrap(key, context) {
      const command = new EncryptCommand({ KeyId: keyArn, Plaintext: key, EncryptionContext: context });
      return bytes((await answered(kms.send(command))).CiphertextBlob);
    },
    async generate(context) {
      const command = new GenerateDataKeyWithoutPlaintextCommand({
        KeyId: keyArn,
        NumberOfBytes: KEY_BYTES,
        EncryptionContext: context,
      });
      return bytes((await answered(kms.send(command))).CiphertextBlob);
    },
    async rewrap(wrapped, from, to) {
      const command = new ReEncryptCommand({
        CiphertextBlob: wrapped,
        SourceKeyId: from.arn,
        SourceEncryptionContext: from.context,
        DestinationKeyId: to.arn,
        DestinationEncryptionContext: to.context,
      });
      return bytes((await answered(kms.send(command))).CiphertextBlob);
    },
    async unwrap(wrapped, { arn, context }) {
      const command = new DecryptCommand({ CiphertextBlob: wrapped, KeyId: arn, EncryptionContext: context });
      const key = bytes((await answered(kms.send(command))).Plaintext);
      if (key.length !== KEY_BYTES) throw new RootKeyRefused();
      return key;
    },
    async check() {
      const { KeyMetadata } = await answered(kms.send(new DescribeKeyCommand({ KeyId: keyArn })));
      if (KeyMetadata?.Enabled !== true) throw new KeysUnavailable();
    },
    close: () => kms.destroy(),
  };
}

const regionOf = (arn: string): string | undefined => KEY_ARN.exec(arn)?.[1];

async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && REFUSALS.has(error.name)) throw new RootKeyRefused(error);
    throw new KeysUnavailable(error);
  }
}

function bytes(blob: Uint8Array | undefined): Uint8Array {
  if (blob === undefined) throw new KeysUnavailable();
  return blob;
}
