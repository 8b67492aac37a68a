import { generateKeyPairSync, randomBytes, randomInt } from 'node:crypto';
import { problem } from '@postern/runtime';
import { type SecretValue, textValue, valueOf } from '../secret-value.ts';

export const keyAlgorithms = ['ed25519', 'es256', 'es384', 'rsa-3072', 'rsa-4096'] as const;

export type Generate =
  | { kind: 'random'; bytes: number; as: 'hex' | 'base64url' | 'bytes' }
  | { kind: 'password'; length: number; lower: number; upper: number; digits: number; symbols: number; exclude: string }
  | { kind: 'key_pair'; algorithm: (typeof keyAlgorithms)[number] };

/** A value that nobody has seen; of a key pair the public key, SPKI in PEM, is no secret. */
export type Generated = { value: SecretValue; publicKey: string | null };

const CLASSES = {
  lower: 'abcdefghijklmnopqrstuvwxyz',
  upper: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  digits: '0123456789',
  symbols: '!#$%&()*+,-./:;<=>?@[]^_{|}~',
} as const;
type CharacterClass = keyof typeof CLASSES;

/** @throws Problem `rules_contradict` where no password could meet the rules */
export function generateValue(asked: Generate): Generated {
  switch (asked.kind) {
    case 'random': {
      const bytes = randomBytes(asked.bytes);
      const value = asked.as === 'bytes' ? valueOf('binary', bytes) : textValue(bytes.toString(asked.as));
      bytes.fill(0);
      return { value, publicKey: null };
    }
    case 'password':
      return { value: textValue(password(asked)), publicKey: null };
    case 'key_pair':
      return keyPair(asked.algorithm);
  }
}

/**
 * Each class as often as is asked for at least, the rest of all classes that are wanted at all, in an order of chance: every
 * choice uniform (`crypto.randomInt`), so that no password is likelier than another of the same counts.
 */
function password({ length, exclude, ...least }: Extract<Generate, { kind: 'password' }>): string {
  const excluded = new Set(exclude);
  const charactersOf = (one: CharacterClass) => [...CLASSES[one]].filter((character) => !excluded.has(character));
  const names = Object.keys(CLASSES) as CharacterClass[];
  const wanted = names.filter((one) => least[one] > 0);
  const needed = wanted.flatMap((one) => Array.from({ length: least[one] }, () => one));
  const pools = new Map(names.map((one) => [one, charactersOf(one)]));
  if (needed.length > length || wanted.length === 0 || wanted.some((one) => pools.get(one)?.length === 0))
    throw problem('rules_contradict');
  const everything = wanted.flatMap((one) => pools.get(one) ?? []);
  const characters = needed.map((one) => oneOf(pools.get(one) ?? []));
  while (characters.length < length) characters.push(oneOf(everything));
  // Fisher and Yates.
  for (let at = characters.length - 1; at > 0; at -= 1) {
    const other = randomInt(at + 1);
    [characters[at], characters[other]] = [characters[other] ?? '', characters[at] ?? ''];
  }
  return characters.join('');
}

const oneOf = (characters: readonly string[]): string => characters[randomInt(characters.length)] ?? '';

/** The private key as PKCS #8 in PEM. */
function keyPair(algorithm: (typeof keyAlgorithms)[number]): Generated {
  const made = (() => {
    switch (algorithm) {
      case 'ed25519':
        return generateKeyPairSync('ed25519');
      case 'es256':
        return generateKeyPairSync('ec', { namedCurve: 'P-256' });
      case 'es384':
        return generateKeyPairSync('ec', { namedCurve: 'P-384' });
      default:
        return generateKeyPairSync('rsa', { modulusLength: algorithm === 'rsa-3072' ? 3072 : 4096 });
    }
  })();
  const privateKey = made.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  return { value: textValue(privateKey), publicKey: made.publicKey.export({ type: 'spki', format: 'pem' }).toString() };
}
