import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const entry = fileURLToPath(new URL('../src/start.ts', import.meta.url));

export type StartCommand = {
  /** What it has written so far, to standard output and error. */
  said(): { out: string; err: string };
  /** Resolves when standard output holds the text. @throws with all that was said when it ends before */
  saying(text: string): Promise<void>;
  signal(name: 'SIGINT' | 'SIGTERM'): void;
  /** The exit code; null for a signal. */
  exit: Promise<number | null>;
};

/** `npm start -- ...` without npm: the same program as a process of its own. */
export function startCommand(...args: string[]): StartCommand {
  const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
  // Not `exit`: by `close` all that it wrote has been read.
  const exit = once(child, 'close').then(([code]) => code as number | null);
  return {
    said: () => ({ out, err }),
    async saying(text) {
      const ended = exit.then((code) => {
        throw new Error(`it ended with ${code} before it said "${text}":\n${out}\n${err}`);
      });
      ended.catch(() => {});
      while (!out.includes(text)) await Promise.race([once(child.stdout, 'data'), ended]);
    },
    signal: (name) => void child.kill(name),
    exit,
  };
}
