import { spawn } from 'node:child_process';
import { once } from 'node:events';

export type Step = {
  name: string;
  command: readonly [string, ...string[]];
  /** Show the output as it comes. Otherwise it is shown only where the step fails. */
  live?: boolean;
  environment?: Record<string, string>;
};

/** Runs a step, and prints its name, outcome and time on one line. Resolves to whether it succeeded. */
export async function runStep({ name, command, live = false, environment = {} }: Step): Promise<boolean> {
  const startedAt = performance.now();
  const [program, ...options] = command;
  if (live) console.log(`· ${name}`);
  const child = spawn(program, options, {
    env: { ...process.env, ...environment },
    stdio: live ? ['ignore', 'inherit', 'inherit'] : ['ignore', 'pipe', 'pipe'],
  });
  const output: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  const [status] = await once(child, 'close');
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  if (status !== 0 && !live) process.stdout.write(Buffer.concat(output));
  console.log(`${status === 0 ? '✓' : '✗'} ${name} (${seconds} s)`);
  return status === 0;
}

/** Runs steps, so many of them at once, begun in the order of the list. Resolves to the names of those that failed, in that order. */
export async function runSteps(steps: readonly Step[], atOnce: number): Promise<string[]> {
  const left = [...steps];
  const failed = new Set<Step>();
  const lane = async () => {
    for (let step = left.shift(); step; step = left.shift()) if (!(await runStep(step))) failed.add(step);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return steps.filter((step) => failed.has(step)).map(({ name }) => name);
}
