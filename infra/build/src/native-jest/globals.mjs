/** `@jest/globals` for modules that outlive a spec file: each call goes to the file that runs. */
const CURRENT = Symbol.for('postern.jest-globals');

const live = (name) =>
  new Proxy(() => {}, {
    apply: (_target, _this, options) => globalThis[CURRENT][name](...options),
    get: (_target, key) => globalThis[CURRENT][name][key],
  });

export const afterAll = live('afterAll');
export const afterEach = live('afterEach');
export const beforeAll = live('beforeAll');
export const beforeEach = live('beforeEach');
export const describe = live('describe');
export const expect = live('expect');
export const jest = live('jest');
export const test = live('test');
