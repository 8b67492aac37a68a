import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Every living process that has to do with a home: its folder stands in the command line or in the environment, or the
 * process works below it. Linux only.
 */
export function processesOf(home: string): { pid: number; command: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const command = read(() => readFileSync(`/proc/${name}/cmdline`, 'utf8')).replaceAll('\0', ' ');
      const facts = [
        command,
        read(() => readFileSync(`/proc/${name}/environ`, 'utf8')),
        read(() => readlinkSync(`/proc/${name}/cwd`)),
      ];
      return facts.some((fact) => fact.includes(home)) ? [{ pid: Number(name), command }] : [];
    });
}

/** A process may end while it is looked at, and some belong to others. */
function read(look: () => string): string {
  try {
    return look();
  } catch {
    return '';
  }
}
