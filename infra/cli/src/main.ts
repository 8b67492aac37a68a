import { run } from './run.ts';

/** Ends quietly when the reader of a pipe has gone (`postern ... | head`). */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

async function input(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

process.exitCode = await run(process.argv.slice(2), {
  out: (line) => process.stdout.write(`${line}\n`),
  err: (line) => process.stderr.write(`${line}\n`),
  input,
  folder: process.cwd(),
  interactive: process.stderr.isTTY === true,
  resultShown: process.stdout.isTTY === true,
  environment: process.env,
});
