import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { type Case } from '../measure.ts';

const execute = promisify(execFile);

/** The number that a script of `processes/` prints, in a process of its own. */
async function printedBy(script: string, ...words: string[]): Promise<number> {
  const path = fileURLToPath(new URL(`../processes/${script}`, import.meta.url));
  return Number((await execute(process.execPath, ['--no-warnings', path, ...words])).stdout);
}

const against = (ours: string, floor: string, said: Pick<Case, 'unit' | 'against' | 'goal'>): Case => ({
  name: `envelope/${ours}-floor`,
  ...said,
  prepare: async () => ({
    ours: () => printedBy('envelope-cost.ts', ours),
    peer: () => printedBy('envelope-cost.ts', floor),
    close: async () => {},
  }),
});

const whole = {
  unit: 'messages of 1 KiB per CPU second',
  against: 'the same primitives straight on node:crypto',
  goal: { atLeast: 0.75 },
} as const;
const stream = {
  unit: 'MiB of a 64 MiB stream per CPU second',
  against: 'one bare AES-256-GCM object over the same pieces',
  goal: { atLeast: 0.7 },
} as const;

export const envelopeFloors: Case[] = [
  against('seal', 'seal-primitives', whole),
  against('open', 'open-primitives', whole),
  against('seal-stream', 'encrypt-stream', stream),
  against('open-stream', 'decrypt-stream', stream),
  {
    name: 'envelope/stream-memory',
    unit: 'MiB above idle while 64 MiB are sealed and opened as a stream',
    against: 'the bound of 32 MiB',
    goal: { atMost: 1 },
    prepare: async () => ({
      ours: () => printedBy('stream-memory.ts'),
      peer: async () => 32,
      close: async () => {},
    }),
  },
];
