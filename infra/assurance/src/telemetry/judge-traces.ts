import { type Span } from './spans.ts';

const ofPostgres = ({ by }: Span): boolean => by.endsWith('instrumentation-pg');

/** What the spans of the tour lack: a trace over services and databases, and one over the bus. */
export function missingFrom(spans: readonly Span[]): string[] {
  const traces = Map.groupBy(spans, ({ trace }) => trace);
  const secret = [...traces.values()].some((own) => {
    // key-proxy asks token-exchange for a token, and crypto-store with it; each looks at its database.
    const served = (service: string) => own.some((span) => span.service === service && span.kind === 'server');
    const read = (service: string) => own.some((span) => span.service === service && ofPostgres(span));
    return ['key-proxy', 'token-exchange', 'crypto-store'].every((service) => served(service) && read(service));
  });
  const batch = [...traces.values()].some((own) => {
    const sent = own.find(({ kind, service }) => kind === 'producer' && service !== 'audit-sink');
    const taken = own.find(
      ({ kind, service, parent }) => kind === 'consumer' && service === 'audit-sink' && parent === sent?.id,
    );
    return taken !== undefined && own.some((span) => span.service === 'audit-sink' && ofPostgres(span));
  });
  return [
    ...(secret ? [] : ['no trace leads through key-proxy, token-exchange, crypto-store and their databases']),
    ...(batch ? [] : ['no trace leads from a producer over the bus into the database of the log']),
  ];
}

/** Attributes that name what only its caller should: a token, a record's key, a value, a password. */
export function leaksIn(spans: readonly Span[], secrets: readonly string[]): string[] {
  const forbidden = [/eyJ[\w-]{16}/, /tour[- ][0-9a-f]{8}/];
  return spans.flatMap(({ service, name, attributes }) =>
    Object.entries({ name, ...attributes })
      .filter(([, value]) => forbidden.some((one) => one.test(value)) || secrets.some((one) => value.includes(one)))
      .map(([attribute]) => `${service}: the attribute ${attribute} of "${name}" holds what it must not`),
  );
}
