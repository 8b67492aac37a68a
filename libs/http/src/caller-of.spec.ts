import { expect, test } from '@jest/globals';
import { callerOf } from './caller-of.ts';

const from = (address: string) => callerOf({ address, workload: null }, null);

test('whoever has a network of IPv6 is one caller, not one for each of its addresses', () => {
  expect(from('2001:db8:1:2::1')).toBe(from('2001:db8:1:2:ffff:ffff:ffff:ffff'));
  expect(from('2001:db8:1:2::1')).toBe(from('2001:db8:1:2:0:1:0:9'));
  expect(from('2001:db8::1')).toBe(from('2001:db8:0:0:5::'));
  expect(from('fe80::1%eth0')).toBe(from('fe80::2%eth0'));
  expect(from('2001:db8:1:2::1')).not.toBe(from('2001:db8:1:3::1'));
  expect(from('2001:db8::1')).not.toBe(from('2001:db8:0:1::1'));
});

test('each address of IPv4 is a caller, also where a socket of IPv6 takes it', () => {
  expect(from('192.0.2.1')).not.toBe(from('192.0.2.2'));
  expect(from('::ffff:192.0.2.1')).toBe(from('192.0.2.1'));
  expect(from('::ffff:192.0.2.1')).not.toBe(from('::ffff:192.0.2.2'));
});

test('a workload is one caller wherever it calls from', () => {
  expect(callerOf({ address: '192.0.2.1', workload: 'job' }, null)).toBe(
    callerOf({ address: '192.0.2.2', workload: 'job' }, null),
  );
});
