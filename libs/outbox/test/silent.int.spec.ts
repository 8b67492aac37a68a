import { afterAll, expect, test } from '@jest/globals';
import { openPostgres } from '@postern/postgres';
import { closeInReverse, silentLogger } from '@postern/runtime';
import { postgresForTests, tcpProxy } from '@postern/testing';
import { openAudit } from '../src/index.ts';
import { event, outboxDatabase } from './fixture.ts';

const closing = closeInReverse();
afterAll(() => closing.close());

test('where Postgres falls silent an event is refused within seconds, and those after it are recorded once it answers again', async () => {
  const server = await postgresForTests();
  closing.add(() => server.close());
  const at = closing.after(await outboxDatabase(server));
  const proxy = closing.after(await tcpProxy(Number(new URL(at.database.url).port)));
  const url = at.database.url.replace(/:\d+\//, `:${proxy.port}/`);
  const { tls } = at.database;
  const postgres = closing.after(await openPostgres({ url, tls, poolSize: 2, applicationName: 'silent' }));
  const audit = closing.after(await openAudit({ postgres, producer: 'crypto-store', logger: silentLogger() }));
  await audit.commit(event());
  proxy.stall();
  await expect(audit.commit(event())).rejects.toMatchObject({ code: 'audit_unavailable' });
  proxy.flow();
  expect(await audit.commit(event())).toBe(true);
  expect(await at.postgres.query('select 1 from audit_groups')).toHaveLength(2);
});
