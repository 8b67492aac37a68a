import { open, route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { publishedKeys } from '../log/checkpoint-key.ts';
import { newestCheckpoint } from '../log/checkpoints.ts';
import { type ReadLog } from './deps.ts';

/** The newest signed checkpoint, as C2SP tlog-tiles serves it. It says nothing about anybody, so reading it is no event. */
export const checkpoint = ({ query }: ReadLog, workloads: readonly string[]) =>
  route({
    method: 'GET',
    path: '/v1/log/checkpoint',
    listener: 'api',
    summary: 'The newest signed checkpoint of the log',
    access: 'workload',
    workloads,
    audit: 'open',
    answers: { 200: 'text' },
    problems: ['log_empty'],
    async handle() {
      const newest = await newestCheckpoint(query);
      if (!newest) throw problem('log_empty');
      return open({ status: 200, text: newest.note, contentType: 'text/plain; charset=utf-8' });
    },
  });

/** The key that checkpoints verify under, in one line (C2SP signed-note): kept by auditors, so that no receipt brings its own. */
export const logKey = ({ key }: ReadLog, workloads: readonly string[]) =>
  route({
    method: 'GET',
    path: '/v1/log/key',
    listener: 'api',
    summary: "The log's verifier key",
    access: 'workload',
    workloads,
    audit: 'open',
    answers: { 200: 'text' },
    async handle() {
      await key.refresh();
      return open({ status: 200, text: `${key.verifier}\n`, contentType: 'text/plain; charset=utf-8' });
    },
  });

const published = z.strictObject({
  verifier: z.string().describe('the line of the key (C2SP signed-note)'),
  generation: z.int().min(1).describe('counts the keys'),
  since: z.string().describe('when it was made, RFC 3339'),
  endorsement: z.string().nullable().describe('a note under the key before it that names it; null of the first'),
});

/** Every key that ever signed, the newest first, each endorsed by the one before it: who kept an old one can follow. */
export const logKeys = ({ query, key }: ReadLog, workloads: readonly string[]) =>
  route({
    method: 'GET',
    path: '/v1/log/keys',
    listener: 'api',
    summary: "All of the log's verifier keys, each endorsed by the one before it",
    access: 'workload',
    workloads,
    audit: 'open',
    answers: { 200: z.strictObject({ origin: z.string().describe('name of the log'), keys: z.array(published) }) },
    handle: async () =>
      open({ status: 200, body: { origin: key.origin, keys: await publishedKeys(query, key.origin) } }),
  });
