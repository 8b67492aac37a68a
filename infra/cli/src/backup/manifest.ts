import { createHash } from 'node:crypto';
import { createReadStream, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CommandFailed, exitCodes } from '../outcome.ts';

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const name = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/);

const manifest = z.strictObject({
  version: z.literal(1),
  /** RFC 3339, when the first database was read. */
  at: z.iso.datetime(),
  tools: z.string().max(256),
  databases: z.array(z.strictObject({ service: name, file: z.string().regex(/^[a-z0-9-]+\.dump$/), sha256 })).min(1),
  /** What a restore needs and a backup never holds: where it lay, and how it began. */
  keeps: z.array(z.strictObject({ name, path: z.string().max(4096), bytes: z.int().min(0), sha256 })),
});
export type Manifest = z.output<typeof manifest>;
export type Kept = Manifest['keeps'][number];

const FILE = 'manifest.json';

export const writeManifest = (folder: string, content: Manifest): void =>
  writeFileSync(join(folder, FILE), `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600, flag: 'wx' });

/** @throws CommandFailed where it is none, or a dump is not the one that was written */
export async function readManifest(folder: string): Promise<Manifest> {
  let content: Manifest;
  try {
    content = manifest.parse(JSON.parse(readFileSync(join(folder, FILE), 'utf8')));
  } catch {
    throw new CommandFailed(exitCodes.invalid, `${folder} is no whole backup: ${FILE} cannot be read`);
  }
  for (const { file, sha256: expected } of content.databases) {
    const found = await digestOf(join(folder, file)).catch(() => 'missing');
    if (found !== expected)
      throw new CommandFailed(exitCodes.invalid, `${file} is not the dump that was written: restore nothing from here`);
  }
  return content;
}

/** How a file is named in a backup that never holds it. @throws CommandFailed where it cannot be read */
export async function keptFile(called: string, path: string): Promise<Kept> {
  try {
    const { size } = statSync(path);
    return { name: called, path, bytes: size, sha256: await digestOf(path, size) };
  } catch {
    throw new CommandFailed(exitCodes.noInput, `--keeps ${called}: ${path} cannot be read`);
  }
}

/**
 * What is in place now must begin as it was when the backup was made: a list of destroyed keys that is shorter, or another one,
 * would bring destroyed keys back (R33).
 * @throws CommandFailed naming it
 */
export async function requireKept(kept: Kept, path: string | undefined): Promise<void> {
  if (path === undefined)
    throw new CommandFailed(exitCodes.usage, `--keeps ${kept.name}=PATH is needed: it was ${kept.path} at the backup`);
  const now = await keptFile(kept.name, path);
  if (now.bytes >= kept.bytes && (await digestOf(path, kept.bytes)) === kept.sha256) return;
  throw new CommandFailed(
    exitCodes.refused,
    `${path} does not begin as ${kept.name} did at the backup: put the newest one in place, never that of a backup`,
  );
}

/** Hexadecimal SHA-256 of a file, or of its first bytes. */
export async function digestOf(path: string, bytes?: number): Promise<string> {
  const hash = createHash('sha256');
  if (bytes === 0) return hash.digest('hex');
  for await (const chunk of createReadStream(path, bytes === undefined ? {} : { end: bytes - 1 })) hash.update(chunk);
  return hash.digest('hex');
}
