import { join } from 'node:path';

export const SERVICES = ['token-exchange', 'auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'] as const;

/** The chart's own: each half has its role. */
const MADE = 'POSTERN_ROLE';

/**
 * Service -> the settings that values may give it, as `postern/settings.json` has them: a service passes over a name that it
 * does not know, so that a mistyped one would silently stand for its default.
 */
export async function settingNames(): Promise<Record<string, string[]>> {
  const names: Record<string, string[]> = {};
  for (const service of SERVICES) {
    const config = join(import.meta.dirname, '../../../apps', service, 'src/config.ts');
    const { settings } = (await import(config)) as { settings: Record<string, unknown> };
    names[service] = Object.keys(settings)
      .filter((name) => name.startsWith('POSTERN_') && name !== MADE)
      .sort();
  }
  return names;
}
