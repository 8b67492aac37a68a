import { setTimeout as sleep } from 'node:timers/promises';
import { canonicalBytes, newEvent, type AuditEvent } from '@postern/audit';
import { busAcl, openBus } from '@postern/bus';
import { openAgent } from '@postern/mtls';
import { openAudit, outboxMigrations, startRelay } from '@postern/outbox';
import { migrate, openPostgres } from '@postern/postgres';
import { silentLogger } from '@postern/runtime';
import { developmentCa, fixedTls, freePort, postgresForTests, redisForTests } from '@postern/testing';
import { cpuSeconds } from '../cpu.ts';
import { median, type Case } from '../measure.ts';

const SERVICE = 'crypto-store';
const CALLERS = 50;
const ROUND_MS = 1_500;
/** Below the relay's window, so that none waits for the log. */
const EVENTS = 15_000;
const BUDGET_US = 60;

const readEvent = (): AuditEvent =>
  newEvent(
    {
      action: 'record.read',
      outcome: 'success',
      tenant: 'acme',
      actor: {
        person: { issuer: 'https://id.example.com/realms/acme', sub: '0b9ac2c1-52f3-4a0c-9a53-2b8f6f0d7c11' },
        client: 'job',
        workload: 'job',
        acts: ['job'],
      },
      resource: { type: 'record', id: crypto.randomUUID(), version: 3 },
      source: { address: '192.0.2.10' },
      request: crypto.randomUUID(),
      trace: crypto.randomUUID().replaceAll('-', ''),
      details: { source: 'cache' },
    },
    new Date(),
  );

/** A service's own database with its outbox, and one table as a service without an outbox would have it. */
async function openDatabase() {
  const server = await postgresForTests();
  const database = await server.createDatabase({ service: SERVICE });
  const plain = {
    set: 'plain',
    steps: { '0001-plain': 'create table plain (id uuid primary key, event bytea not null)' },
  };
  const { tls, serviceRole } = database;
  await migrate({ url: database.ownerUrl, tls, sets: [outboxMigrations, plain], serviceRole });
  const postgres = await openPostgres({ url: database.url, tls, poolSize: CALLERS + 4, applicationName: 'bench' });
  return {
    postgres,
    async close() {
      await postgres.close();
      await database.drop();
      await server.close();
    },
  };
}
type Pool = Awaited<ReturnType<typeof openDatabase>>['postgres']['pool'];

const INSERT = { name: 'plain', text: 'insert into plain (id, event) values ($1, $2)' };
const valuesOf = (event: AuditEvent) => [event.id, Buffer.from(canonicalBytes(event))];

const bareInsert = (pool: Pool) => async () => {
  await pool.query({ ...INSERT, values: valuesOf(readEvent()) });
};
const ownTransaction = (pool: Pool) => async () => {
  const client = await pool.connect();
  try {
    await client.query('begin');
    await client.query({ ...INSERT, values: valuesOf(readEvent()) });
    await client.query('commit');
  } finally {
    client.release();
  }
};

/** Callers that each wait for their event before the next: milliseconds of every one. */
async function crowd(callers: number, once: () => Promise<unknown>): Promise<number[]> {
  const until = performance.now() + ROUND_MS;
  const took: number[] = [];
  const caller = async () => {
    while (performance.now() < until) {
      const began = performance.now();
      await once();
      took.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return took;
}
const rate = (took: number[]) => took.length / (ROUND_MS / 1_000);

/** Strict events, durable before the caller goes on. */
const producer: Case = {
  name: 'audit/producer',
  unit: 'durable events per second, 50 callers',
  against: 'begin, insert, commit for each event',
  goal: { atLeast: 8 },
  async prepare() {
    const { postgres, close } = await openDatabase();
    const audit = await openAudit({ postgres, producer: SERVICE, logger: silentLogger() });
    return {
      ours: async () => rate(await crowd(CALLERS, () => audit.commit(readEvent()))),
      peer: async () => rate(await crowd(CALLERS, ownTransaction(postgres.pool))),
      async close() {
        await audit.close();
        await close();
      },
    };
  },
};

const latency = (name: string, callers: number): Case => ({
  name,
  unit: `p50 in ms, ${callers === 1 ? 'one caller' : `${callers} callers`}`,
  against: 'a bare insert for each event',
  goal: { atMost: 3 },
  async prepare() {
    const { postgres, close } = await openDatabase();
    const audit = await openAudit({ postgres, producer: SERVICE, logger: silentLogger() });
    return {
      ours: async () => median(await crowd(callers, () => audit.commit(readEvent()))),
      peer: async () => median(await crowd(callers, bareInsert(postgres.pool))),
      async close() {
        await audit.close();
        await close();
      },
    };
  },
});
/** What an event costs from its commit until it is on the bus: producer, Postgres, relay and Redis together. */
const relayCost: Case = {
  name: 'audit/outbox-relay-bus',
  unit: 'us of CPU per event, all processes',
  against: 'the budget of an event',
  goal: { atMost: 1 },
  async prepare() {
    const redis = await redisForTests();
    const tls = fixedTls(await developmentCa().issue(SERVICE));
    const dispatcher = openAgent(tls);
    // Nobody answers there: the log's part is measured by its own cases.
    const sink = { url: `https://127.0.0.1:${await freePort()}`, dispatcher };
    return {
      async ours() {
        const { postgres, close } = await openDatabase();
        const user = await redis.bus.user(SERVICE, busAcl(SERVICE));
        const bus = await openBus({ ...user, service: SERVICE, logger: silentLogger() });
        const audit = await openAudit({ postgres, producer: SERVICE, logger: silentLogger() });
        const events = Array.from({ length: EVENTS }, readEvent);
        const relay = await startRelay({ postgres, producer: SERVICE, bus, tls, sink, logger: silentLogger() });
        const before = cpuSeconds([process.pid]);
        const caller = async () => {
          for (let event = events.pop(); event; event = events.pop()) await audit.commit(event);
        };
        await Promise.all(Array.from({ length: CALLERS }, caller));
        const sent = async () => (await postgres.query('select 1 from audit_groups limit 1')).length === 0;
        while (!(await sent())) await sleep(50);
        const spent = cpuSeconds([process.pid]) - before;
        await relay.close();
        await audit.close();
        await bus.close();
        await redis.bus.asAdmin((client) => client.flushDb());
        await close();
        return (spent * 1e6) / EVENTS;
      },
      peer: async () => BUDGET_US,
      async close() {
        await dispatcher.close();
        await redis.close();
      },
    };
  },
};

/** The producers' half of the log. */
export const auditProducer: Case[] = [
  producer,
  latency('audit/producer-latency', CALLERS),
  latency('audit/producer-latency-alone', 1),
  relayCost,
];
