import { createRequire } from 'node:module';
import {
  AlgorithmSuiteIdentifier,
  BranchKeyStoreNode,
  buildClient,
  CommitmentPolicy,
  KmsHierarchicalKeyRingNode,
} from '@aws-crypto/client-node';
import type * as Items from '@aws-crypto/branch-keystore-node/build/main/src/types.js';
import { KMSClient } from '@aws-sdk/client-kms';

// The stock SDK with its hierarchical keyring, reading branch keys from memory: the oracle of these tests.

// Storage must return this class, which the package does not export at its root.
const { EncryptedHierarchicalKey } = createRequire(import.meta.url)(
  '@aws-crypto/branch-keystore-node/build/main/src/types.js',
) as typeof Items;

const ARN = 'arn:aws:kms:us-west-2:111122223333:key/11111111-2222-4333-8444-555555555555';
const LOGICAL_NAME = 'branch_keys';

/** A KMS that holds each "wrapped" key in clear: what is under test is the message, not the wrapping of branch keys. */
class ClearKms extends KMSClient {
  override send = (async (command: { input: { CiphertextBlob: Uint8Array } }) => ({
    Plaintext: command.input.CiphertextBlob,
  })) as unknown as KMSClient['send'];
}

export type StockSdk = {
  seal(plaintext: Uint8Array, context: Record<string, string>, frameLength?: number): Promise<Buffer>;
  open(message: Uint8Array): Promise<{ plaintext: Buffer; context: Record<string, string> }>;
};

/** Seals and opens with the stock SDK under one branch key version. */
export function stockSdk({ id, version, key }: { id: string; version: string; key: Uint8Array }): StockSdk {
  const shared = {
    'branch-key-id': id,
    'create-time': '2026-01-01T00:00:00.000000Z',
    'hierarchy-version': '1',
    tablename: LOGICAL_NAME,
    'kms-arn': ARN,
  };
  const keyStore = new BranchKeyStoreNode({
    logicalKeyStoreName: LOGICAL_NAME,
    kmsConfiguration: { identifier: ARN },
    keyManagement: { kmsClient: new ClearKms({ region: 'us-west-2' }) },
    storage: {
      getEncryptedActiveBranchKey: async () =>
        new EncryptedHierarchicalKey({ ...shared, type: 'branch:ACTIVE', version: `branch:version:${version}` }, key),
      getEncryptedBranchKeyVersion: async (_id: string, wanted: string) => {
        if (wanted !== version) throw new Error('no such version');
        return new EncryptedHierarchicalKey({ ...shared, type: `branch:version:${version}` }, key);
      },
      getKeyStorageInfo: () => ({ name: LOGICAL_NAME, logicalName: LOGICAL_NAME }),
    },
  });
  // Its default sorts a context's keys by locale, against the specification, and then reads no other SDK's messages.
  const sorting = { utf8Sorting: true };
  const keyring = new KmsHierarchicalKeyRingNode({ branchKeyId: id, keyStore, cacheLimitTtl: 600, ...sorting });
  const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  return {
    async seal(plaintext, encryptionContext, frameLength = 4096) {
      const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
      const { result } = await encrypt(keyring, plaintext, { encryptionContext, suiteId, frameLength });
      return result;
    },
    async open(message) {
      const { plaintext, messageHeader } = await decrypt(keyring, Buffer.from(message));
      return { plaintext, context: { ...messageHeader.encryptionContext } };
    },
  };
}
