import { type CallService, type CallStream, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

/** Pairs that sealed bytes are bound to; they stand in them in clear: ids, never secrets or names. */
export type SealedFor = { context?: Record<string, string> };

/** What came of one item of a batch: bytes, or the service's code. */
export type TransitResult = { reference?: string; bytes?: Uint8Array; error?: { code: string } };
export type TransitItem = SealedFor & { bytes: Uint8Array; reference?: string };

export type Transit = {
  /** Seals up to 1 MiB, for the caller to keep. Scope `transit:encrypt`. */
  encrypt(plaintext: Uint8Array, as: CallAs, sealed?: SealedFor): Promise<Uint8Array>;
  /** Opens it with the same context. Scope `transit:decrypt`. @throws PosternError `ciphertext_refused`, ... */
  decrypt(ciphertext: Uint8Array, as: CallAs, sealed?: SealedFor): Promise<Uint8Array>;
  /** Seals it anew under the newest key; no plaintext is seen. Scope `transit:rewrap`. */
  rewrap(ciphertext: Uint8Array, as: CallAs, sealed?: SealedFor): Promise<Uint8Array>;
  /** Up to 1,000 items in one request, answered in their order, each by itself. */
  encryptBatch(items: readonly TransitItem[], as: CallAs): Promise<TransitResult[]>;
  decryptBatch(items: readonly TransitItem[], as: CallAs): Promise<TransitResult[]>;
  rewrapBatch(items: readonly TransitItem[], as: CallAs): Promise<TransitResult[]>;
  /**
   * Bytes of any length. What comes back is whole only when it has ended: where it throws (`broken_off`), throw away what
   * came before.
   */
  encryptStream(
    plaintext: AsyncIterable<Uint8Array>,
    as: CallAs,
    sealed?: SealedFor,
  ): Promise<AsyncIterable<Uint8Array>>;
  decryptStream(message: AsyncIterable<Uint8Array>, as: CallAs, sealed?: SealedFor): Promise<AsyncIterable<Uint8Array>>;
  rewrapStream(message: AsyncIterable<Uint8Array>, as: CallAs, sealed?: SealedFor): Promise<AsyncIterable<Uint8Array>>;
};

type Field = 'plaintext' | 'ciphertext';
type Operation = { name: 'encrypt' | 'decrypt' | 'rewrap'; input: Field; output: Field };

export function createTransit(call: CallService, callStream: CallStream): Transit {
  const encrypt: Operation = { name: 'encrypt', input: 'plaintext', output: 'ciphertext' };
  const decrypt: Operation = { name: 'decrypt', input: 'ciphertext', output: 'plaintext' };
  const rewrap: Operation = { name: 'rewrap', input: 'ciphertext', output: 'ciphertext' };

  const one =
    ({ name, input, output }: Operation) =>
    async (bytes: Uint8Array, as: CallAs, { context }: SealedFor = {}): Promise<Uint8Array> => {
      const body = { [input]: base64(bytes), ...(context === undefined ? {} : { context }) };
      const answer = await call({ method: 'POST', path: `/v1/${name}`, body, scopes: [`transit:${name}`] }, as);
      return Buffer.from(shaped<{ [field in Field]: string }>('crypto-store', answer, output)[output], 'base64');
    };
  const many =
    ({ name, input, output }: Operation) =>
    async (items: readonly TransitItem[], as: CallAs): Promise<TransitResult[]> => {
      const body = { items: items.map(({ bytes, ...rest }) => ({ ...rest, [input]: base64(bytes) })) };
      const answer = await call({ method: 'POST', path: `/v1/${name}/batch`, body, scopes: [`transit:${name}`] }, as);
      type Result = { reference?: string; error?: { code: string } } & { [field in Field]?: string };
      const { results } = shaped<{ results: Result[] }>('crypto-store', answer, 'results');
      return results.map(({ reference, error, [output]: text }) => ({
        ...(reference === undefined ? {} : { reference }),
        ...(error === undefined ? {} : { error }),
        ...(text === undefined ? {} : { bytes: Buffer.from(text, 'base64') }),
      }));
    };
  const streamed =
    ({ name }: Operation) =>
    async (body: AsyncIterable<Uint8Array>, as: CallAs, { context = {} }: SealedFor = {}) => {
      const headers = { 'postern-context': Buffer.from(JSON.stringify(context)).toString('base64url') };
      return callStream({ path: `/v1/${name}/stream`, headers, body, scopes: [`transit:${name}`] }, as);
    };
  return {
    encrypt: one(encrypt),
    decrypt: one(decrypt),
    rewrap: one(rewrap),
    encryptBatch: many(encrypt),
    decryptBatch: many(decrypt),
    rewrapBatch: many(rewrap),
    encryptStream: streamed(encrypt),
    decryptStream: streamed(decrypt),
    rewrapStream: streamed(rewrap),
  };
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
