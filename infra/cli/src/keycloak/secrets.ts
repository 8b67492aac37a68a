import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type PosternDocument } from '@postern/keycloak';
import { CommandFailed, exitCodes, type Terminal } from '../outcome.ts';

const run = promisify(execFile);
const cannot = (reference: string, why: string) => new CommandFailed(exitCodes.configuration, `${reference}: ${why}`);

/** Names the reference, never what it holds. */
function bytesOf(reference: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch {
    throw cannot(reference, 'cannot be read');
  }
}

async function fromAge(reference: string, file: string, identity: string | undefined): Promise<string> {
  if (!identity) throw cannot(reference, 'no age identity: set SOPS_AGE_KEY_FILE or [secrets] identity_file');
  const { Decrypter, armor } = await import('age-encryption');
  const decrypter = new Decrypter();
  for (const line of bytesOf(reference, identity).toString('utf8').split('\n'))
    if (line.startsWith('AGE-SECRET-KEY-')) decrypter.addIdentity(line.trim());
  const sealed = bytesOf(reference, file);
  const isArmored = sealed.subarray(0, 5).toString('latin1') === '-----';
  try {
    const binary = isArmored ? armor.decode(sealed.toString('utf8')) : new Uint8Array(sealed);
    return await decrypter.decrypt(binary, 'text');
  } catch {
    throw cannot(reference, 'cannot be opened with this identity');
  }
}

/** A file sealed with age, by the identity of SOPS_AGE_KEY_FILE or of the document. @throws CommandFailed (78) */
export const openAgeFile = (
  file: string,
  name: string,
  document: PosternDocument | undefined,
  terminal: Terminal,
): Promise<string> =>
  fromAge(name, file, terminal.environment['SOPS_AGE_KEY_FILE'] ?? document?.document.secrets?.identity_file);

async function fromSops(reference: string, file: string, key: string, environment: NodeJS.ProcessEnv): Promise<string> {
  try {
    const path = key
      .split('.')
      .map((part) => `[${JSON.stringify(part)}]`)
      .join('');
    return (await run('sops', ['--decrypt', '--extract', path, file], { timeout: 30_000, env: environment })).stdout;
  } catch (error) {
    throw cannot(
      reference,
      (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'sops is not installed' : 'sops could not open it',
    );
  }
}

/**
 * The secret behind a reference: `age:FILE` and `sops:FILE#KEY` beside the document, `file:/PATH`, `env:NAME`. A newline at
 * the end, which editors add, is not part of it.
 *
 * @throws CommandFailed (78) naming the reference
 */
export async function resolveSecret(
  reference: string,
  document: PosternDocument | undefined,
  terminal: Terminal,
): Promise<string> {
  const [scheme = '', rest = ''] = [
    reference.slice(0, reference.indexOf(':')),
    reference.slice(reference.indexOf(':') + 1),
  ];
  const folder = document && document.file !== '-' ? dirname(resolve(terminal.folder, document.file)) : terminal.folder;
  const identity = terminal.environment['SOPS_AGE_KEY_FILE'] ?? document?.document.secrets?.identity_file;
  const secret = await (() => {
    if (scheme === 'age') return fromAge(reference, resolve(folder, rest), identity);
    if (scheme === 'sops')
      // The document's identity is for SOPS too, which looks in its environment alone.
      return fromSops(reference, resolve(folder, rest.split('#')[0] ?? ''), rest.split('#')[1] ?? '', {
        ...terminal.environment,
        ...(identity ? { SOPS_AGE_KEY_FILE: identity } : {}),
      });
    if (scheme === 'file') return bytesOf(reference, rest).toString('utf8');
    if (scheme === 'env') return terminal.environment[rest] ?? '';
    throw cannot(reference, 'is written by a Vault agent at run time, and is not read here');
  })();
  const plain = secret.replace(/\r?\n$/, '');
  if (plain === '') throw cannot(reference, 'is empty');
  return plain;
}
