import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** Specs beside a source are pure; `test/*.int.spec.ts` meet real servers. */
export default {
  testEnvironment: here('infra/build/src/native-jest/environment.cjs'),
  runtime: here('infra/build/src/native-jest/runtime.cjs'),
  testMatch: ['<rootDir>/src/**/*.spec.ts', '<rootDir>/test/**/*.spec.ts'],
  // Node loads the specs, and strips their types.
  transform: {},
  // For what hangs. A test that is slow on a busy machine is no failure.
  testTimeout: 180_000,
  passWithNoTests: true,
};
