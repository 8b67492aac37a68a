import { Secret } from '@postern/runtime';

export const valueTypes = ['text', 'binary'] as const;
export type ValueType = (typeof valueTypes)[number];

/** What a secret holds: a text as it is, or bytes as base64. */
export type SecretValue = { readonly type: ValueType; readonly content: Secret };

export const textValue = (text: string): SecretValue => ({ type: 'text', content: new Secret(text) });

/** The bytes of a value: UTF-8 of a text. Overwrite them after use. */
export const bytesOf = ({ type, content }: SecretValue): Buffer =>
  Buffer.from(content.reveal(), type === 'text' ? 'utf8' : 'base64');

export function valueOf(type: ValueType, bytes: Uint8Array): SecretValue {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { type, content: new Secret(buffer.toString(type === 'text' ? 'utf8' : 'base64')) };
}

/** Bytes of a value that was written elsewhere: text where they are UTF-8. */
export function guessedValue(bytes: Uint8Array): SecretValue {
  try {
    return textValue(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return valueOf('binary', bytes);
  }
}

export const lengthOf = ({ type, content }: SecretValue): number =>
  Buffer.byteLength(content.reveal(), type === 'text' ? 'utf8' : 'base64');
