import { expect, test } from '@jest/globals';
import { redisServers } from './redis-servers.ts';

test('sentinels of a URL, each at its own port or theirs by default; addresses of IPv6 without brackets', () => {
  const url = 'rediss://user@[2001:db8::1]/0?master=postern&sentinels=[2001:db8::2]:26380,third';
  expect(redisServers(url)).toEqual([
    { host: '2001:db8::1', port: 26_379, servername: '2001:db8::1' },
    { host: '2001:db8::2', port: 26_380, servername: '2001:db8::2' },
    { host: 'third', port: 26_379, servername: 'third' },
  ]);
});

test('one server where no master is named, and a name that stands for all', () => {
  expect(redisServers('rediss://user@redis', 'cache')).toEqual([{ host: 'redis', port: 6_379, servername: 'cache' }]);
});
