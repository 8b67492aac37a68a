import { createHash, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';

/**
 * Signed notes (C2SP signed-note): a text that ends in a newline, an empty line, and a line for each signature,
 * `— name base64(4-byte key id || signature)`. Ed25519 is type 0x01; ECDSA P-256 with SHA-256, for FIPS, is type 0x02.
 */
export type NoteSigner = { name: string; key: KeyObject };
export type NoteVerifier = { name: string; key: KeyObject };

/** A note that is not one, or that none of the given keys signed. */
export class NoteRefused extends Error {
  override readonly name = 'NoteRefused';
}

const ED25519 = 0x01;
const ECDSA = 0x02;
const KEY_ID_BYTES = 4;
const NAME = /^[^\s+]{1,128}$/u;
const SPKI_ED25519_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');

/** Signs a text. @param text ends with a newline and holds no control characters but newlines */
export function signNote(text: string, { name, key }: NoteSigner): string {
  if (!NAME.test(name)) throw new NoteRefused('a key name has no spaces and no plus');
  if (!text.endsWith('\n') || hasControls(text)) throw new NoteRefused('not the text of a note');
  const bytes = Buffer.from(text);
  const signature =
    key.asymmetricKeyType === 'ed25519' ? sign(null, bytes, key) : sign('sha256', bytes, { key, dsaEncoding: 'der' });
  const line = Buffer.concat([keyId(name, createPublicKey(key)), signature]).toString('base64');
  return `${text}\n— ${name} ${line}\n`;
}

/**
 * The text of a note that at least one of the verifiers signed. Signatures of unknown keys are passed over; a wrong one of
 * a known key refuses the note. @throws NoteRefused
 */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): string {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n') || hasControls(note)) throw new NoteRefused('not a signed note');
  const text = note.slice(0, end + 1);
  let verified = false;
  for (const line of note.slice(end + 2, -1).split('\n')) {
    const [, name = '', encoded = ''] = /^— (\S+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
    if (name === '') throw new NoteRefused('not a signature line');
    const bytes = Buffer.from(encoded, 'base64');
    const id = bytes.subarray(0, KEY_ID_BYTES);
    const known = verifiers.find((one) => one.name === name && keyId(name, one.key).equals(id));
    if (!known) continue;
    if (!holds(text, bytes.subarray(KEY_ID_BYTES), known.key)) throw new NoteRefused('a signature does not verify');
    verified = true;
  }
  if (!verified) throw new NoteRefused('no known key signed this note');
  return text;
}

function holds(text: string, signature: Uint8Array, key: KeyObject): boolean {
  const bytes = Buffer.from(text);
  return key.asymmetricKeyType === 'ed25519'
    ? verify(null, bytes, key, signature)
    : verify('sha256', bytes, { key, dsaEncoding: 'der' }, signature);
}

/** The first four bytes of SHA-256 over name and key, as the signature type prescribes. */
export function keyId(name: string, key: KeyObject): Buffer {
  const digest = createHash('sha256');
  if (key.asymmetricKeyType === 'ed25519')
    digest.update(`${name}\n`).update(Uint8Array.of(ED25519)).update(rawKey(key));
  else digest.update(key.export({ format: 'der', type: 'spki' }));
  return digest.digest().subarray(0, KEY_ID_BYTES);
}

/** A verifier key in one line, `name+hash+base64(type || key)`, as others configure it. */
export function verifierLine({ name, key }: NoteVerifier): string {
  const ed25519 = key.asymmetricKeyType === 'ed25519';
  const body = ed25519 ? rawKey(key) : key.export({ format: 'der', type: 'spki' });
  const encoded = Buffer.concat([Uint8Array.of(ed25519 ? ED25519 : ECDSA), body]).toString('base64');
  return `${name}+${keyId(name, key).toString('hex')}+${encoded}`;
}

/** Reads a line of `verifierLine`. @throws NoteRefused */
export function parseVerifier(line: string): NoteVerifier {
  const [, name = '', id = '', encoded = ''] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? [];
  const bytes = Buffer.from(encoded, 'base64');
  const type = bytes[0];
  if (name === '' || (type !== ED25519 && type !== ECDSA)) throw new NoteRefused('not a verifier key');
  const der = type === ED25519 ? Buffer.concat([SPKI_ED25519_PREFIX, bytes.subarray(1)]) : bytes.subarray(1);
  const key = publicKeyOf(der);
  if (keyId(name, key).toString('hex') !== id) throw new NoteRefused('a verifier key whose id is not its own');
  return { name, key };
}

function publicKeyOf(der: Buffer): KeyObject {
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch (cause) {
    throw new NoteRefused('not a public key', { cause });
  }
}

const rawKey = (key: KeyObject): Buffer =>
  key.export({ format: 'der', type: 'spki' }).subarray(SPKI_ED25519_PREFIX.length);

const hasControls = (text: string): boolean =>
  [...text].some((character) => character !== '\n' && (character.codePointAt(0) ?? 0) < 0x20);
