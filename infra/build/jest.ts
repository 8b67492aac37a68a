// The `test` target: `node infra/build/jest.ts libs/mtls [jest options]`.
import { join } from 'node:path';
import { packageName, writeResults } from './src/test-run/results.ts';
import { runJest } from './src/test-run/run-jest.ts';

const [root, ...options] = process.argv.slice(2);
if (root === undefined) {
  console.error('usage: node infra/build/jest.ts <project folder> [jest options]');
  process.exit(64);
}

const results = await runJest(root, packageName(join(root, 'package.json')), options);
writeResults(results);
process.exitCode = results.failed.length === 0 ? 0 : 1;
