import { createRequire } from 'node:module';
import {
  AlgorithmSuiteIdentifier,
  BranchKeyStoreNode,
  buildClient,
  CommitmentPolicy,
  KmsHierarchicalKeyRingNode,
} from '@aws-crypto/client-node';
import { KMSClient, type DecryptCommand } from '@aws-sdk/client-kms';
import type * as storeTypes from '@aws-crypto/branch-keystore-node/build/main/src/types.js';
import { type Query } from '@postern/postgres';
import { LOGICAL_KEY_STORE_NAME, type RootKey } from '../src/index.ts';

// The stock Encryption SDK over our rows, as somebody would use it who has the keys but not Postern.

// Storage must return this class, which the package does not export at its root.
const { EncryptedHierarchicalKey } = createRequire(import.meta.url)(
  '@aws-crypto/branch-keystore-node/build/main/src/types.js',
) as typeof storeTypes;

/** KMS Decrypt, answered by a root key of ours. */
class RootKeyKms extends KMSClient {
  readonly #rootKey: RootKey;
  constructor(rootKey: RootKey) {
    super({ region: 'local' });
    this.#rootKey = rootKey;
  }
  override send = (async ({ input }: DecryptCommand) => ({
    Plaintext: await this.#rootKey.unwrap(input.CiphertextBlob ?? new Uint8Array(), {
      arn: input.KeyId ?? '',
      context: input.EncryptionContext ?? {},
    }),
  })) as unknown as KMSClient['send'];
}

type Row = Record<'branch_key_id' | 'type' | 'kms_arn' | 'create_time', string> &
  Record<'tenant' | 'service' | 'purpose' | 'environment', string> & { version: string | null; enc: Buffer };

export type StockKeyring = {
  seal(plaintext: Uint8Array, context: Record<string, string>): Promise<Buffer>;
  open(message: Uint8Array): Promise<Buffer>;
};

/** `branchKeyId`'s hierarchical keyring; our rows become the items that the SDK would find in DynamoDB. */
export function stockKeyring(query: Query, rootKey: RootKey, branchKeyId: string): StockKeyring {
  const item = async (type: string) => {
    const [row] = await query<Row>('select * from branch_keys where branch_key_id = $1 and type = $2', [
      branchKeyId,
      type,
    ]);
    if (row === undefined) throw new Error('no such branch key');
    const context = {
      'branch-key-id': row.branch_key_id,
      type: row.type,
      'create-time': row.create_time,
      tablename: LOGICAL_KEY_STORE_NAME,
      'kms-arn': row.kms_arn,
      'hierarchy-version': '1',
      ...(row.version === null ? {} : { version: row.version }),
      'aws-crypto-ec:tenant': row.tenant,
      'aws-crypto-ec:service': row.service,
      'aws-crypto-ec:purpose': row.purpose,
      'aws-crypto-ec:environment': row.environment,
    };
    type Context = ConstructorParameters<typeof EncryptedHierarchicalKey>[0];
    return new EncryptedHierarchicalKey(context as unknown as Context, row.enc);
  };
  const keyStore = new BranchKeyStoreNode({
    logicalKeyStoreName: LOGICAL_KEY_STORE_NAME,
    kmsConfiguration: { identifier: rootKey.arn },
    keyManagement: { kmsClient: new RootKeyKms(rootKey) },
    storage: {
      getEncryptedActiveBranchKey: () => item('branch:ACTIVE'),
      getEncryptedBranchKeyVersion: (_id, version) => item(`branch:version:${version}`),
      getKeyStorageInfo: () => ({ name: 'branch_keys', logicalName: LOGICAL_KEY_STORE_NAME }),
    },
  });
  const keyring = new KmsHierarchicalKeyRingNode({ branchKeyId, keyStore, cacheLimitTtl: 600 });
  const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
  return {
    seal: async (plaintext, encryptionContext) =>
      (await encrypt(keyring, plaintext, { encryptionContext, suiteId })).result,
    open: async (message) => (await decrypt(keyring, Buffer.from(message))).plaintext,
  };
}
