import { type Sealer } from '@postern/branch-keys';
import { byteStream, route, type Route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { reaching } from '../records/reaching.ts';
import { callerContext, contextHeader } from '../transit/caller-context.ts';
import { callersPairs, type EncryptionContext } from '@postern/envelope';
import { keyVersionsGuard } from '../transit/key-guard.ts';
import { messageIdOf, type Operation } from '../transit/operation.ts';
import { refusedPieces } from '../transit/refused-pieces.ts';
import { batchDetails, runBatch } from '../transit/run-batch.ts';
import { base64Of } from './base64.ts';

export type Transit = { transitOf: (tenant: string) => Sealer };

/** What is said once of encrypt, decrypt and rewrap; each is three routes: one item, many, and a stream of any length. */
export type TransitRoutes = {
  name: 'encrypt' | 'decrypt' | 'rewrap';
  audit: 'data.encrypted' | 'data.decrypted' | 'data.rewrapped';
  input: 'plaintext' | 'ciphertext';
  output: 'plaintext' | 'ciphertext';
  operation: Operation;
};

const KIB = 1024;
/** Of one item; longer ones are streamed. */
const MAX_PLAINTEXT_BYTES = KIB * KIB;
/** A message is longer than its plaintext by its header (at most 8.6 KB) and 32 bytes a frame, be it of 64 bytes. */
const MAX_MESSAGE_BYTES = MAX_PLAINTEXT_BYTES + MAX_PLAINTEXT_BYTES / 2 + 16 * KIB;
const ITEM_BODY_BYTES = 2 * MAX_MESSAGE_BYTES;
const MAX_ITEMS = 1_000;
const BATCH_BODY_BYTES = 8 * KIB * KIB;
const REFUSED = 'ciphertext_refused';
const MOST_TRIES = 3;

/** What an output is, for a reader of the API document. */
const OUTPUTS = {
  plaintext: 'the bytes that were sealed, in base64',
  ciphertext: 'a message of the AWS Encryption SDK format, version 2, in base64',
};

const reference = z.string().max(128).describe('given back with the item; shown to nobody else').optional();

/** The routes of one operation. */
export function transitRoutes(deps: Transit, said: TransitRoutes): Route[] {
  return [oneRoute(deps, said), batchRoute(deps, said), streamRoute(deps, said)];
}

/** A sealer that reads the keys' states anew where a guard refused what the last attempt took. */
async function sealerFor({ transitOf }: Transit, tenant: string, attempt: number): Promise<Sealer> {
  const sealer = transitOf(tenant);
  if (attempt > 0) await reaching(sealer.recheck(), REFUSED);
  return sealer;
}

const itemOf = (input: TransitRoutes['input']) => ({
  [input]: base64Of(input === 'plaintext' ? MAX_PLAINTEXT_BYTES : MAX_MESSAGE_BYTES),
  context: callerContext.optional(),
});
type Item = { context?: EncryptionContext | undefined } & { [field in TransitRoutes['input']]?: string };

const inputIn = (item: Item, field: TransitRoutes['input']) => ({
  input: Buffer.from(item[field] ?? '', 'base64'),
  context: callersPairs(item.context ?? {}),
});

const declared = ({ name, audit }: TransitRoutes) =>
  ({
    method: 'POST',
    listener: 'api',
    scope: `transit:${name}`,
    audit,
    problems: [REFUSED, 'keys_unavailable'],
  }) as const;

const oneRoute = (deps: Transit, said: TransitRoutes) =>
  route({
    ...declared(said),
    path: `/v1/${said.name}`,
    summary: `${titled(said.name)} up to 1 MiB`,
    bodyLimit: ITEM_BODY_BYTES,
    body: z.strictObject(itemOf(said.input)),
    answers: { 200: z.strictObject({ [said.output]: z.string().describe(OUTPUTS[said.output]) }) },
    async handle({ principal, body, attempt }, audit) {
      const sealer = await sealerFor(deps, principal.tenant, attempt);
      const { input, context } = inputIn(body as Item, said.input);
      const outcome = await reaching(said.operation.whole(sealer, input, context), REFUSED);
      const details = { bytes: outcome.plaintextBytes, message: messageIdOf(outcome) };
      return audit.released(
        { details, guard: keyVersionsGuard([outcome]) },
        { status: 200, body: { [said.output]: outcome.bytes.toString('base64') } },
      );
    },
  });

const batchRoute = (deps: Transit, said: TransitRoutes) =>
  route({
    ...declared(said),
    path: `/v1/${said.name}/batch`,
    summary: `${titled(said.name)} up to 1,000 items; each is answered by itself`,
    bodyLimit: BATCH_BODY_BYTES,
    body: z.strictObject({
      items: z
        .array(z.strictObject({ ...itemOf(said.input), reference }))
        .min(1)
        .max(MAX_ITEMS),
    }),
    answers: {
      200: z.strictObject({
        results: z.array(
          z.strictObject({
            [said.output]: z.string().optional().describe(OUTPUTS[said.output]),
            reference,
            error: z.strictObject({ code: z.literal(REFUSED) }).optional(),
          }),
        ),
      }),
    },
    async handle({ principal, body, attempt }, audit) {
      const sealer = await sealerFor(deps, principal.tenant, attempt);
      const items = body.items as (Item & { reference?: string })[];
      const inputs = items.map((item) => inputIn(item, said.input));
      const outcomes = await reaching(runBatch(said.operation, sealer, inputs), REFUSED);
      const results = outcomes.map((outcome, index) => {
        const named = items[index]?.reference === undefined ? {} : { reference: items[index].reference };
        if (outcome === null) return { ...named, error: { code: REFUSED } as const };
        return { ...named, [said.output]: outcome.bytes.toString('base64') };
      });
      const used = outcomes.filter((outcome) => outcome !== null);
      return audit.released(
        { details: batchDetails(outcomes), guard: keyVersionsGuard(used) },
        { status: 200, body: { results } },
      );
    },
  });

const streamRoute = (deps: Transit, said: TransitRoutes) =>
  route({
    ...declared(said),
    path: `/v1/${said.name}/stream`,
    summary: `${titled(said.name)} bytes of any length; an answer that breaks off must be thrown away`,
    consumes: 'stream',
    body: byteStream,
    headers: z.strictObject({
      'postern-context': contextHeader.optional().describe('`context`, as one JSON object in ASCII'),
    }),
    answers: { 200: 'stream' },
    problems: [REFUSED, 'keys_unavailable', 'read_stale'],
    async handle({ principal, body, headers }, audit) {
      const context = callersPairs(headers['postern-context'] ?? {});
      // Sealing has read nothing of the body yet: it can begin again under a key that was rotated in just then.
      const tries = said.name === 'encrypt' ? MOST_TRIES : 1;
      for (let attempt = 0; attempt < tries; attempt += 1) {
        const sealer = await sealerFor(deps, principal.tenant, attempt);
        let bytes = 0;
        const count = (more: number) => void (bytes += more);
        const streamed = await reaching(said.operation.stream(sealer, body, context, count), REFUSED);
        const message = messageIdOf(streamed);
        const source = { source: refusedPieces(streamed.pieces), contentType: 'application/octet-stream' };
        const intent = { details: { message }, guard: keyVersionsGuard([streamed]) };
        const released = await audit.streamed(intent, source, () => ({ details: { bytes, message } }));
        if (released !== null) return released;
      }
      await sealerFor(deps, principal.tenant, 1);
      throw problem('read_stale', { retryAfterSeconds: 1 });
    },
  });

const titled = (name: string): string => name.charAt(0).toUpperCase() + name.slice(1);
