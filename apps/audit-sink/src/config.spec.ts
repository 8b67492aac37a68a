import { fileURLToPath } from 'node:url';
import { settingsReference } from '@postern/runtime';
import { expect, test } from '@jest/globals';
import { readConfig, settings } from './config.ts';

const file = (name: string) => fileURLToPath(new URL(`../${name}`, import.meta.url));

test('README and .env.example say what the settings are', () => {
  const files = { readme: file('README.md'), example: file('.env.example') };
  expect(settingsReference(settings, files, false)).toEqual([]);
});

test('a start without settings names all that are missing at once, and no value', () => {
  const start = () => readConfig({ POSTERN_API_PORT: 'canary', POSTERN_AUDIT_PRODUCERS: 'Canary!' });
  expect(start).toThrow(/POSTERN_POSTGRES_URL: is required[^]*POSTERN_BUS_URL: is required[^]*POSTERN_AUDIT_PRODUCERS/);
  expect(start).not.toThrow(/canary/i);
});
