import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';

import { type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';

const PROCESSES = 4;
const extents: Record<Scale, number> = { small: 2_000, default: 100_000, full: 1_000_000 };
const script = fileURLToPath(new URL('seal-many.ts', import.meta.url));
const NAMES = ['message id', 'salt and nonce of a wrapped data key', 'data key'] as const;
const RECORD_BYTES = 8 * NAMES.length;

/** What one process printed. */
async function sealedBy(branchKey: string, count: number): Promise<Buffer> {
  const child = spawn(process.execPath, ['--no-warnings', script, branchKey, String(count)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise((resolve) => child.once('close', resolve));
  const printed = Buffer.concat(chunks);
  if (code !== 0 || printed.length !== count * RECORD_BYTES) throw new Error(`a process ended with ${String(code)}`);
  return printed;
}

/** How many of the 64-bit values occur again. By chance it would be one run in forty million with a million of them. */
function repeated(values: BigUint64Array): number {
  values.sort();
  let again = 0;
  for (let at = 1; at < values.length; at += 1) if (values[at] === values[at - 1]) again += 1;
  return again;
}

export const envelopeReuse: Case = {
  name: 'envelope/reuse',
  guarantee: 'no data key, message id or wrapping nonce comes twice, whichever of four processes sealed (R29)',
  async run({ scale }: Circumstances): Promise<Findings> {
    const branchKey = randomBytes(32).toString('hex');
    const each = extents[scale] / PROCESSES;
    const printed = await Promise.all(Array.from({ length: PROCESSES }, () => sealedBy(branchKey, each)));
    const all = Buffer.concat(printed);
    const failed = NAMES.flatMap((name, field) => {
      const values = BigUint64Array.from({ length: all.length / RECORD_BYTES }, (_, index) =>
        all.readBigUInt64BE(index * RECORD_BYTES + 8 * field),
      );
      const again = repeated(values);
      return again === 0 ? [] : [`${name}: ${again} came again`];
    });
    return { tried: all.length / RECORD_BYTES, failed, lost: [] };
  },
};
