import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';

import { assess, isScale, scales, type Row } from './assess.ts';
import { cases } from './cases.ts';

const USAGE_ERROR = 64;
const usage = `npm run assurance [-- CASE...] [-- --json] [-- --scale ${scales.join('|')}] [-- --seed N] [-- --only WORD] [-- --from REF]

  CASE      the cases that begin so: ${cases.map(({ name }) => name).join(', ')}
  --json    the rows as JSON; progress goes to standard error
  --scale   how much is tried; default unless given
  --seed    what random choices follow from, 1 to ${2 ** 32 - 1}; chosen and printed unless given
  --only    of stack/replicas, the events whose name holds this word; of the grants' faults and crashes, the modes
  --from    of stack/replicas, the release that is upgraded, a commit or tag; this build unless given`;

function fail(line: string): never {
  process.stderr.write(`${line}\n\n${usage}\n`);
  process.exit(USAGE_ERROR);
}

function parsed() {
  try {
    return parseArgs({
      args: process.argv.slice(2).filter((word) => word !== '--'),
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        scale: { type: 'string', default: 'default' },
        seed: { type: 'string', default: String(randomInt(1, 2 ** 32)) },
        only: { type: 'string' },
        from: { type: 'string' },
      },
    });
  } catch (error) {
    return fail((error as Error).message);
  }
}

const { values, positionals } = parsed();
const { scale, json, only, from } = values;
const seed = Number(values.seed);
if (!isScale(scale)) fail(`there is no scale ${scale}`);
if (!Number.isSafeInteger(seed) || seed < 1 || seed >= 2 ** 32) fail('the seed is a whole number from 1 on');
const chosen = cases.filter(
  ({ name }) => positionals.length === 0 || positionals.some((prefix) => name.startsWith(prefix)),
);
if (chosen.length === 0) fail(`no case begins with ${positionals.join(' or ')}`);

const progress = json ? process.stderr : process.stdout;
const say = (line: string) => void progress.write(`  ${line}\n`);
const rows: Row[] = [];
for (const each of chosen) {
  progress.write(`${each.name}, scale ${scale}, seed ${seed}: ${each.guarantee}\n`);
  const parts = { ...(only === undefined ? {} : { only }), ...(from === undefined ? {} : { from }) };
  rows.push(await assess(each, { scale, seed, say, ...parts }));
}

if (json) process.stdout.write(JSON.stringify(rows, null, 2) + '\n');
else {
  process.stdout.write('\n| case | tried | failed | lost | seed | holds |\n|---|---|---|---|---|---|\n');
  for (const row of rows) {
    const counts = [row.tried, row.failed, row.lost].map((count) => count.toLocaleString('en')).join(' | ');
    process.stdout.write(`| ${row.case} | ${counts} | ${row.seed} | ${row.holds ? 'yes' : 'NO'} |\n`);
  }
}
process.exit(rows.every(({ holds }) => holds) ? 0 : 1);
