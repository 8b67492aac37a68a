import { parseArgs } from 'node:util';

import { cases } from './cases.ts';
import { measure, type Row } from './measure.ts';

const { values, positionals } = parseArgs({
  args: process.argv.slice(2).filter((word) => word !== '--'),
  allowPositionals: true,
  options: { json: { type: 'boolean', default: false } },
});

/** A whole name is that case alone; anything else, all that begin so. */
const wanted = (word: string, name: string) =>
  cases.some((each) => each.name === word) ? name === word : name.startsWith(word);
const chosen = cases.filter(({ name }) => positionals.length === 0 || positionals.some((word) => wanted(word, name)));
if (chosen.length === 0) {
  process.stderr.write(
    `no case begins with ${positionals.join(' or ')}; there are: ${cases.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}

const round = (value: number) => (value >= 100 ? Math.round(value).toLocaleString('en') : value.toPrecision(3));
const rows: Row[] = [];
const failed: string[] = [];
for (const each of chosen) {
  if (!values.json) process.stdout.write(`measuring ${each.name} …\n`);
  // What could not be measured keeps no other from its row.
  await measure(each).then(
    (row) => rows.push(row),
    (error: Error) => {
      failed.push(each.name);
      process.stderr.write(`${each.name}: not measured: ${error.stack ?? error.message}\n`);
    },
  );
}

if (values.json) process.stdout.write(JSON.stringify(rows, null, 2) + '\n');
else {
  process.stdout.write(
    '\n| case | ratio | goal | holds | ours | peer | unit | against |\n|---|---|---|---|---|---|---|---|\n',
  );
  for (const row of rows) {
    process.stdout.write(
      `| ${row.case} | ${round(row.value)} | ${row.goal} | ${row.holds ? 'yes' : 'NO'} | ${round(row.ours)} | ${round(row.peer)} | ${row.unit} | ${row.against} |\n`,
    );
  }
  for (const { case: name, notes = [] } of rows) {
    if (notes.length > 0) process.stdout.write(`\n${name}\n\n${notes.join('\n')}\n`);
  }
}
if (failed.length > 0) process.stderr.write(`\nnot measured: ${failed.join(', ')}\n`);
process.exit(failed.length === 0 && rows.every(({ holds }) => holds) ? 0 : 1);
