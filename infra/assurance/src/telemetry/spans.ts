/** A span as an exporter sends it (OTLP, trace/v1). Ids are lower-case hex. */
export type Span = {
  service: string;
  /** The instrumentation that made it. */
  by: string;
  name: string;
  kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  trace: string;
  id: string;
  parent: string;
  attributes: Record<string, string>;
};

const KINDS = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const;

/** The spans of one ExportTraceServiceRequest, protobuf as OTLP over HTTP has it. Only text among the attributes is kept. */
export function spansOf(body: Buffer): Span[] {
  return messages(body, 1).flatMap((ofResource) => {
    const service = attributesOf(messages(ofResource, 1)[0] ?? NOTHING, 1)['service.name'] ?? '';
    return messages(ofResource, 2).flatMap((ofScope) => {
      const by = text(messages(ofScope, 1)[0] ?? NOTHING, 1);
      return messages(ofScope, 2).map((span) => ({
        service,
        by,
        name: text(span, 5),
        kind: KINDS[number(span, 6)] ?? 'internal',
        trace: hex(span, 1),
        id: hex(span, 2),
        parent: hex(span, 4),
        attributes: attributesOf(span, 9),
      }));
    });
  });
}

const NOTHING = Buffer.alloc(0);

/** `KeyValue { key = 1, AnyValue value = 2 { string_value = 1 } }` under a field's number. */
const attributesOf = (message: Buffer, field: number): Record<string, string> =>
  Object.fromEntries(messages(message, field).map((pair) => [text(pair, 1), text(messages(pair, 2)[0] ?? NOTHING, 1)]));

const messages = (message: Buffer, field: number): Buffer[] =>
  [...fieldsOf(message)].flatMap(([at, value]) => (at === field && Buffer.isBuffer(value) ? [value] : []));
const text = (message: Buffer, field: number): string => messages(message, field)[0]?.toString('utf8') ?? '';
const hex = (message: Buffer, field: number): string => messages(message, field)[0]?.toString('hex') ?? '';
const number = (message: Buffer, field: number): number =>
  Number([...fieldsOf(message)].find(([at]) => at === field)?.[1] ?? 0);

/** The fields of a protobuf message in their order: length-delimited ones as bytes, numbers as bigint. */
function* fieldsOf(message: Buffer): Generator<[field: number, value: Buffer | bigint]> {
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const bytes = (length: number): Buffer => message.subarray(at, (at += length));
  while (at < message.length) {
    const tag = Number(varint());
    const field = tag >>> 3;
    const wire = tag & 7;
    if (wire === 0) yield [field, varint()];
    else if (wire === 1) yield [field, bytes(8)];
    else if (wire === 2) yield [field, bytes(Number(varint()))];
    else if (wire === 5) yield [field, bytes(4)];
    else throw new Error(`that is no protobuf message: wire type ${wire}`);
  }
}
