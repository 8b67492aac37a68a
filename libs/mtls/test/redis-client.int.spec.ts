import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { redisForTests, type RedisPair, type TestRedisUser } from '@postern/testing';
import { newRedisClient, redisTls } from '../src/index.ts';

let redis: RedisPair;
let user: TestRedisUser;

beforeAll(async () => {
  redis = await redisForTests();
  user = await redis.cache.user('crypto-store');
});
afterAll(async () => {
  await redis?.close();
});

const NAME = 'destroyed-while-connecting';
const connected = () =>
  redis.cache.asAdmin(async (admin) => String(await admin.sendCommand(['CLIENT', 'LIST'])).includes(`name=${NAME} `));

test('a client that is destroyed while it connects is gone', async () => {
  const { username, hostname, port, pathname } = new URL(user.url);
  const client = newRedisClient({
    username,
    password: user.password,
    name: NAME,
    database: Number(pathname.slice(1)),
    socket: { host: hostname, port: Number(port), ...redisTls(user.tls, 'localhost') },
  });
  client.on('error', () => {});
  const connecting = client.connect().then(
    () => 'connected',
    () => 'ended',
  );
  client.destroy();
  expect(await connecting).toBe('ended');
  while (await connected()) await new Promise((resolve) => setTimeout(resolve, 20));
});
