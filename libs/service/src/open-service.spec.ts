import { expect, test } from '@jest/globals';
import { silentLogger } from '@postern/runtime';
import { openService } from './open-service.ts';
import { type ServiceConfig } from './service-config.ts';
import { type Setting } from './setting.ts';

const config = { base: { fips: false, profile: 'fedramp-low' } } as ServiceConfig;

/** Opens parts one after the other, each of which says when it is closed. */
function parts(...names: string[]) {
  const closed: string[] = [];
  const open = ({ closing }: Pick<Setting, 'closing'>) => {
    for (const name of names) closing.after({ close: async () => void closed.push(name) });
  };
  return { closed, open };
}

test('what was opened is closed in reverse when the service is, and not before', async () => {
  const { closed, open } = parts('postgres', 'bus', 'relay');
  const service = await openService('crypto-store', config, { logger: silentLogger() }, async (setting) => {
    open(setting);
    expect([setting.service, setting.profile.name]).toEqual(['crypto-store', 'fedramp-low']);
    return { app: {} as never, tls: {} as never };
  });
  expect(closed).toEqual([]);
  await service.close();
  expect(closed).toEqual(['relay', 'bus', 'postgres']);
});

test('a step that fails ends all before it, and is what the start fails by', async () => {
  const { closed, open } = parts('postgres', 'bus');
  const opening = openService('crypto-store', config, { logger: silentLogger() }, async (setting) => {
    open(setting);
    throw new Error('the relay does not start');
  });
  await expect(opening).rejects.toThrow('the relay does not start');
  expect(closed).toEqual(['bus', 'postgres']);
});
