import { newEvent, type AuditEvent } from '@postern/audit';
import type { LokiStream } from '../src/forwarders/targets/loki.ts';
import { openReceiver, type Receiver } from './receiver.ts';
import { heldIds, openWorld, until } from './world.ts';

export type ForwardingLog = Awaited<ReturnType<typeof openForwardingLog>>;

/** The log with a producer, and targets that replicas of the sink forward to until a test ends. */
export async function openForwardingLog() {
  const world = await openWorld();
  const { url: sinkUrl } = await world.sink();
  const producer = await world.producer();
  await producer.relay(sinkUrl, 0);
  const closing: (() => Promise<unknown>)[] = [];
  return {
    world,
    sinkUrl,
    /** What `end` closes, last first. */
    closing,
    async commit(events: AuditEvent[]) {
      for (const one of events) await producer.audit.commit(one);
    },
    inLog: (events: AuditEvent[]) =>
      until(async () => {
        const held = new Set(await heldIds(world));
        return events.every(({ id }) => held.has(id));
      }, 'the events are in the log'),
    async receiver(answer?: Parameters<typeof openReceiver>[1]): Promise<Receiver> {
      const opened = await openReceiver(world, answer);
      closing.push(opened.close);
      return opened;
    },
    /** Another replica of the sink, that forwards to these targets until the test ends. */
    async forwarding(targets: object[]) {
      const replica = await world.sink({ ...(await world.documents({ forwarders: { targets } })) });
      closing.push(replica.close);
      return replica;
    },
    /** The end of a test. */
    async end() {
      for (const close of closing.splice(0).toReversed()) await close();
    },
    close: () => world.close(),
  };
}

export const linesOf = ({ received }: Receiver): Record<string, unknown>[] =>
  received
    .flatMap(({ body }) => (JSON.parse(body) as { streams: LokiStream[] }).streams)
    .flatMap(({ values }) => values.map(([, line]) => JSON.parse(line) as Record<string, unknown>))
    .toSorted((a, b) => Number(a['leaf_index']) - Number(b['leaf_index']));

export const alarmsTo = ({ url }: Receiver, name: string) => ({
  kind: 'loki',
  name,
  url,
  filter: { actions: ['alarm.raised'] },
});

export const identityEvent = () =>
  newEvent(
    {
      action: 'identity.user_event',
      outcome: 'failed',
      reason: 'invalid_user_credentials',
      tenant: 'acme',
      actor: { person: { issuer: 'https://idp.example/realms/acme', sub: 'u-1' }, client: 'app' },
      source: { address: '203.0.113.42' },
      details: { realm: 'acme', type: 'LOGIN_ERROR', eventId: 'e-1', username: 'alice@acme.example', session: 's-1' },
    },
    new Date(),
  );
