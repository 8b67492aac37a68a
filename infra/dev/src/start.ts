import { runStack } from './run-stack.ts';

await runStack('start', process.argv.slice(2));
