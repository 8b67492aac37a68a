const SERVICE = /^[a-z][a-z0-9-]{0,62}$/;
const QUEUE = /^[a-z][a-z0-9-]{0,62}(\.[a-z][a-z0-9-]{0,62})?$/;

/**
 * Where the keys of a service's queues begin. A queue lies under the service that fills it: so no service can touch what
 * another has sent (R21).
 *
 * @throws TypeError for what could be read as a pattern or as another prefix.
 */
export function prefixOf(service: string): string {
  if (!SERVICE.test(service)) throw new TypeError('that is no name of a service');
  return `postern:${service}`;
}

/** @throws TypeError for a name that cannot stand between colons. */
export function assertQueueName(name: string): void {
  if (!QUEUE.test(name)) throw new TypeError('that is no name of a queue');
}

/** The queue of the signals to a service. Each sender fills one of its own. */
export function signalQueue(to: string): string {
  prefixOf(to);
  return `signals.${to}`;
}
