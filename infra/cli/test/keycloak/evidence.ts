import { createHash } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { type ShopWorld } from './world.ts';

export function evidenceSuite(world: () => ShopWorld): void {
  test('each control is verified, and the evidence is a chain: OSCAL and a report', async () => {
    const verified = await world().live('verify', '--json');
    const results = JSON.parse(verified.out) as { control: string; satisfied: boolean; observed: string[] }[];
    expect(results.filter(({ satisfied }) => !satisfied)).toEqual([]);
    expect(results.map(({ control }) => control)).toEqual(expect.arrayContaining(['AC-7', 'IA-2(1)', 'SC-8', 'SC-23']));
    expect(verified.code).toBe(0);

    expect(await world().live('evidence')).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^26 of 26 checks satisfied; chain head [0-9a-f]{64}$/),
    });
    const hash = (text: string) => createHash('sha256').update(text).digest('hex');
    const sums = world().read('evidence/SHA256SUMS');
    for (const line of sums.trim().split('\n')) {
      const [sum, name = ''] = line.split('  ');
      expect(hash(world().read(`evidence/${name}`))).toBe(sum);
    }
    expect(JSON.parse(world().read('evidence/record.json'))).toEqual({
      subject: 'shop',
      sha256: hash(sums),
      checks: 26,
      satisfied: 26,
    });
    const read = (name: string) => world().read(`evidence/${name}`);
    expect(JSON.parse(read('assessment-results.json'))).toMatchObject({
      'assessment-results': {
        results: [
          {
            findings: expect.arrayContaining([
              expect.objectContaining({
                target: expect.objectContaining({ 'target-id': 'ac-7_obj', status: { state: 'satisfied' } }),
              }),
            ]),
          },
        ],
      },
    });
    expect(JSON.parse(read('component-definition.json'))).toHaveProperty('component-definition.components');
    expect(read('report.html')).toContain('26 of 26 checks satisfied');
  });

  test('a lockout switched off by hand is found: AC-7 is not satisfied, and nothing else but the baseline', async () => {
    await world().asAdmin((admin) => admin.put('/shop', { bruteForceProtected: false }));
    const { code, out } = await world().live('verify', '--json');
    const failed = (JSON.parse(out) as { control: string; satisfied: boolean }[]).filter(({ satisfied }) => !satisfied);
    expect({ code, failed: failed.map(({ control }) => control) }).toEqual({
      code: 1,
      failed: ['AC-7', 'CM-2', 'CM-6'],
    });
    expect(await world().live('keycloak', 'realm', 'diff')).toMatchObject({
      code: 3,
      out: expect.stringContaining('(drift)'),
    });
    expect(await world().live('apply')).toMatchObject({ code: 0 });
  });
}
