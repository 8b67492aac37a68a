const { registerHooks } = require('node:module');
const { pathToFileURL } = require('node:url');
const { default: JestRuntime } = require('jest-runtime');

/** What `@jest/globals` has for the spec file that runs; `globals.mjs` reads it at each call. */
const CURRENT = Symbol.for('postern.jest-globals');
/** Where Jest keeps who hears of a test's end. A file's listeners end with the file. */
const LISTENERS = Symbol.for('EVENT_HANDLERS');

const globalsUrl = pathToFileURL(`${__dirname}/globals.mjs`).href;
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '@jest/globals'
      ? { url: globalsUrl, format: 'module', shortCircuit: true }
      : next(specifier, context),
});

/**
 * Jest's runtime, but Node loads the modules: its type stripping, its resolution, each module once for all spec files of
 * a project, as the services load them (ADR-0086). So there is no mock of a module.
 */
class NativeRuntime extends JestRuntime {
  unstable_shouldLoadAsEsm() {
    return true;
  }

  async unstable_importModule(file) {
    return import(pathToFileURL(file).href);
  }

  /** Jest asks for its test framework alone in this way, and reads its state anew for each spec file. */
  requireInternalModule(framework) {
    delete require.cache[framework];
    delete globalThis[LISTENERS];
    return require(framework);
  }

  setGlobalsForRuntime(globals) {
    super.setGlobalsForRuntime(globals);
    globalThis[CURRENT] = this.jestGlobals.cjsGlobals(this._testPath);
    // `describeWith` is in a library that images may not have Jest for.
    Object.assign(globalThis, { describe: globals.describe, test: globals.test });
  }
}

module.exports = NativeRuntime;
