import { services, type Stack } from '@postern/dev';

import { type Random } from '../random.ts';

export type Fault = { name: string; strike(stack: Stack): Promise<unknown> };

/**
 * One fault of each kind, in random order, and with `together` at last all of them at once.
 *
 * `crash` is SIGKILL to the service's own process. In development a service runs with the role `all`: its api, its relay
 * and its rounds are one process, so that killing crypto-store kills crypto-store's relay between any two of its steps
 * (numbering, signing, sending, deleting), and so for each producer; audit-sink's process holds the sink, that is the
 * consumer of the bus that appends and signs, and the relay of the sink's own events. Nothing else touches the log.
 */
export function roundOfFaults(random: Random, { together }: { together: boolean }): Fault[] {
  const crashes = services.map((service) => ({
    name: `kill -9 ${service}`,
    strike: (stack: Stack) => stack.crash(service),
  }));
  const flushes = (['cache', 'bus'] as const).map((kind) => ({
    name: `flush the Redis of the ${kind}`,
    strike: (stack: Stack) => stack.flush(kind),
  }));
  const each = [...crashes, ...flushes];
  const all = {
    name: 'all of these at once',
    strike: (stack: Stack) => Promise.all(each.map(({ strike }) => strike(stack))),
  };
  return [...random.shuffled(each), ...(together ? [all] : [])];
}
