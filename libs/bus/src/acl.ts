import { prefixOf, signalQueue } from './prefix.ts';

/** Queues that a service empties although others fill them, beside the signals to it. */
const CONSUMES: Readonly<Record<string, readonly string[]>> = { 'audit-sink': ['audit'] };

// Explicit commands where a category would give too much: no KEYS, SCAN or RANDOMKEY (they see other prefixes), no FLUSH,
// no scripts or functions but those sent with EVAL, no look at other clients.
const COMMANDS = [
  '-@all +@read +@write +@stream +@blocking +@transaction',
  '-@dangerous -@admin -scan -randomkey -dbsize -swapdb -move -function',
  '+auth +hello +ping +quit +reset +select +client|setname +client|id +client|getname',
  '+eval +evalsha +script|load +script|exists +time +info',
].join(' ');

/**
 * The Redis ACL rules of a service's user on the bus, as they stand in an ACL file after name and password (R21): the keys
 * under its own prefix and the queues that it is there to empty; no channels; the commands that BullMQ's scripts use.
 */
export function busAcl(service: string): string {
  const own = `~${prefixOf(service)}:*`;
  const consumed = [...(CONSUMES[service] ?? []), signalQueue(service)].map((queue) => `~postern:*:${queue}:*`);
  return [own, ...consumed, 'resetchannels', COMMANDS].join(' ');
}
