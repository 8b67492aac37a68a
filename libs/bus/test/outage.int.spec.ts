import { expect, test } from '@jest/globals';
import { silentLogger } from '@postern/runtime';
import { busCa, freePort } from '@postern/testing';
import { openBus } from '../src/index.ts';

test('without Redis the bus opens, refuses in time, and closes (R33)', async () => {
  const { cert, key, ca, thumbprint } = await busCa().issue('crypto-store');
  const files = { cert, key, ca, thumbprint, notAfter: new Date(Date.now() + 3_600_000) };
  const tls = { current: () => files, onChange: () => () => {}, close: () => {} };
  const url = `rediss://crypto-store@127.0.0.1:${await freePort()}`;
  const bus = await openBus({ url, password: 'none', tls, service: 'crypto-store', logger: silentLogger() });
  bus.worker({ queue: 'jobs' }, async () => {});
  const began = Date.now();
  await expect(bus.queue('audit').add({ n: 1 })).rejects.toThrow('in time');
  await expect(bus.check()).rejects.toThrow();
  await bus.close();
  expect(Date.now() - began).toBeLessThan(20_000);
});
