import { readFileSync } from 'node:fs';
import { isatty } from 'node:tty';

/**
 * Whether the keys of a terminal go to this process and those that it starts: its group is the one in the foreground. Elsewhere than on Linux,
 * where nobody says so, a terminal among its streams is taken for that.
 */
export function hasTheKeys(): boolean {
  try {
    return isForeground(readFileSync('/proc/self/stat', 'utf8'));
  } catch {
    return [0, 1, 2].some((stream) => isatty(stream));
  }
}

/** `pgrp` and `tpgid` of proc_pid_stat(5); before them stands a name in brackets, with whatever is in it. */
export function isForeground(stat: string): boolean {
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group !== undefined && group === foreground;
}
