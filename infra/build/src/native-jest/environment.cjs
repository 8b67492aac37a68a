const { ModuleMocker } = require('jest-mock');

/** Specs run among Node's own globals: there is no second realm to make, to keep apart or to take down (ADR-0086). */
module.exports = class NativeEnvironment {
  /** What Jest would write into a realm of its own; nothing reads it. */
  global = {};
  moduleMocker = new ModuleMocker(globalThis);
  async setup() {}
  async teardown() {}
  getVmContext() {
    return null;
  }
};
