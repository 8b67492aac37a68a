import { hash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type KeycloakAdmin } from '@postern/keycloak';
import { CommandFailed, exitCodes } from '../outcome.ts';

const SECRET_BYTES = 32;
const HOUR_SECONDS = 3_600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** Keycloak's own attributes: when a secret was made, and the one before it with its end. Times are seconds. */
const MADE = 'client.secret.creation.time';
const BEFORE = 'client.secret.rotated';
const BEFORE_MADE = 'client.secret.rotated.creation.time';
const BEFORE_ENDS = 'client.secret.rotated.expiration.time';
/** Ours: SHA-256 of the sealed file that the secret stands in. */
const SEALED = 'client.secret.sealed.sha256';

export type RotatedClient = { realm: string; clientId: string; reference: string };
export type Rotation = {
  /** The document's folder, which `age:` references start from. */
  folder: string;
  recipients: readonly string[];
  /** How long the secret before is good too, at a server whose feature `client-secret-rotation` is on. */
  overlapHours: number;
  /** A younger secret is left alone; always rotated unless given. */
  olderThanDays?: number;
  now(): Date;
};

/**
 * Gives a client a new secret: sealed beside the old one first, then set, then put in its place. Stopped anywhere, a secret
 * that the server takes is in one of the two files, and the next run puts it in place. The change is an event of Keycloak's administrators, and so in the log.
 *
 * @returns days until it is due; 0 where it was rotated
 */
export async function rotateClientSecret(
  admin: KeycloakAdmin,
  { realm, clientId, reference }: RotatedClient,
  { folder, recipients, overlapHours, olderThanDays, now }: Rotation,
): Promise<number> {
  const at = `/${encodeURIComponent(realm)}/clients`;
  const [live] = await admin.get<{ id: string; attributes?: Record<string, string> }[]>(
    `${at}?clientId=${encodeURIComponent(clientId)}`,
  );
  if (!live) throw new CommandFailed(exitCodes.refused, 'the server has no such client: run `postern apply`');
  const path = resolve(folder, reference.slice('age:'.length));
  finishRename(path, live.attributes?.[SEALED]);
  const seconds = Math.floor(now().getTime() / 1_000);
  const made = Number(live.attributes?.[MADE]);
  if (olderThanDays !== undefined && Number.isFinite(made)) {
    const left = made + olderThanDays * DAY_SECONDS - seconds;
    if (left > 0) return Math.ceil(left / DAY_SECONDS);
  }
  const { value: before } = await admin.get<{ value?: string }>(`${at}/${live.id}/client-secret`);
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const text = await sealed(secret, recipients);
  writeFileSync(`${path}.next`, text, { mode: 0o600, flush: true });
  const overlap =
    before && overlapHours > 0
      ? {
          [BEFORE]: before,
          [BEFORE_MADE]: String(Number.isFinite(made) ? made : seconds),
          [BEFORE_ENDS]: String(seconds + Math.round(overlapHours * HOUR_SECONDS)),
        }
      : { [BEFORE]: '', [BEFORE_MADE]: '', [BEFORE_ENDS]: '' };
  const attributes = { ...live.attributes, ...overlap, [MADE]: String(seconds), [SEALED]: digestOf(text) };
  await admin.put(`${at}/${live.id}`, { clientId, secret, attributes });
  renameSync(`${path}.next`, path);
  return 0;
}

/** A file that the server has taken, and that is not in its place: the run before ended between the two. */
function finishRename(path: string, taken: string | undefined): void {
  const next = `${path}.next`;
  if (existsSync(next) && digestOf(readFileSync(next, 'utf8')) === taken) renameSync(next, path);
}

const digestOf = (text: string): string => hash('sha256', text, 'hex');

/** For the recipients, as text. */
export async function sealed(secret: string, recipients: readonly string[]): Promise<string> {
  const { Encrypter, armor } = await import('age-encryption');
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return armor.encode(await encrypter.encrypt(secret));
}

export const folderOf = (folder: string, file: string): string => dirname(resolve(folder, file));
