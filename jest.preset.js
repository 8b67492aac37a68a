import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Specs beside a source are pure; `test/*.int.spec.ts` meet real servers. */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/src/**/*.spec.ts', '<rootDir>/test/**/*.spec.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '\\.ts$': here('infra/build/jest-strip-types.cjs') },
  // For what hangs. A test that is slow on a busy machine is no failure.
  testTimeout: 180_000,
  passWithNoTests: true,
};
