import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Case, type Scale } from '../assess.ts';

const program = fileURLToPath(new URL('../../../../apps/audit-sink/test/scale.ts', import.meta.url));

/** Looked at when the log holds a hundredth of them, a tenth, and all. */
const EVENTS: Record<Scale, number> = { small: 2_000, default: 100_000, full: 1_000_000 };
const TWO_HOURS_MS = 7_200_000;
/** What a process that has warmed up may still grow by between a tenth and all. */
const MEMORY_GROWTH = 1.25;
/** Pages of Postgres that a proof may read for each of its hashes, and for the way to them: so it grows as the path does. */
const BUFFERS = { aHash: 2, always: 8 };
/** In a shorter log Postgres rightly reads the whole table. */
const PLANNED_FROM = 10_000;

type Mark = {
  events: number;
  seconds: number;
  residentMiB: number;
  peakMiB: number;
  treeSize: number;
  proofHashes: number;
  proofBuffers: number;
  proofMs: number;
  pageRows: number;
  pageBuffers: number;
  pagePlan: string[];
};

/** Real batches through a real bus into a sink of its own; what a proof and a page read is what Postgres says of the service's statements. */
export const auditScale: Case = {
  name: 'audit/scale',
  guarantee: "memory, proofs and a tenant's last page cost the same however long the log is",
  async run({ scale, say }) {
    const marks: Mark[] = [];
    const child = spawn(process.execPath, [program, String(EVENTS[scale])], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: TWO_HOURS_MS,
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    for await (const line of createInterface({ input: child.stdout })) {
      const mark = JSON.parse(line) as Mark;
      marks.push(mark);
      if (scale !== 'small') say(line);
    }
    const code = await ended;
    if (code !== 0 || marks.length !== 3) return { tried: 0, failed: [`it ended with ${code}`], lost: [] };
    const [, tenth, all] = marks as [Mark, Mark, Mark];
    const failed = marks.flatMap(misfits);
    if (tenth.events >= PLANNED_FROM && Math.abs(all.pageBuffers - tenth.pageBuffers) > 2)
      failed.push('a page reads more in a longer log');
    // A process of a few seconds is still warming up.
    if (scale !== 'small' && all.residentMiB > tenth.residentMiB * MEMORY_GROWTH)
      failed.push('memory grew with the log');
    return { tried: all.events, failed, lost: [] };
  },
};

function misfits({ events, treeSize, proofHashes, proofBuffers, pagePlan, pageRows }: Mark): string[] {
  const deepest = Math.ceil(Math.log2(treeSize));
  const planned = events >= PLANNED_FROM;
  return [
    ...(proofHashes > deepest ? [`a proof of ${proofHashes} hashes in a tree of ${treeSize}`] : []),
    ...(proofBuffers > BUFFERS.aHash * proofHashes + BUFFERS.always ? [`a proof reads ${proofBuffers} buffers`] : []),
    ...(pageRows === 0 ? ['a page is empty'] : []),
    ...(planned && pagePlan.some((node) => /Seq Scan|Sort|Bitmap/.test(node))
      ? [`a page is read by ${pagePlan.join(', ')}`]
      : []),
    ...(planned && !pagePlan.some((node) => /Index/.test(node)) ? ['a page is not read by an index'] : []),
  ];
}
