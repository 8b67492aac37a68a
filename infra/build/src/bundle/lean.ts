import { readFileSync } from 'node:fs';
import * as http from 'node:http';
import { type Plugin } from 'esbuild';
import { namesOf } from './traced-packages.ts';
import { prunedUndici } from './undici-barrel.ts';

/** What a start would pay for and never use, left out of a service's tree without a word in the sources about it. */
export const lean: Plugin = {
  name: 'lean',
  setup(build) {
    // As a namespace, zod keeps only what is named: not its fifty languages, nor its second API. 15 ms and 7 MiB.
    build.onLoad({ filter: /\/(apps|libs)\/[^/]+\/src\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace("import { z } from 'zod';", "import * as z from 'zod';"),
      loader: 'ts',
    }));

    // 10 ms and 6 MiB.
    build.onLoad({ filter: /\/node_modules\/undici\/index\.js$/ }, ({ path }) => ({
      contents: prunedUndici(readFileSync(path, 'utf8')),
    }));

    // Of Express a tree has the router (ADR 83): its application reads tables of media types, and what sends files. 50 ms.
    build.onLoad({ filter: /\/node_modules\/express\/lib\/express\.js$/ }, () => ({
      contents: `module.exports = () => { throw new Error('there is no application of Express in this tree'); };
        module.exports.Router = require('router');`,
    }));

    // It counts in memory, and brings a limiter for each of a dozen stores; one of them loads `node:cluster`. 10 ms.
    build.onLoad({ filter: /\/node_modules\/rate-limiter-flexible\/index\.js$/ }, () => ({
      contents: `module.exports = { RateLimiterMemory: require('./lib/RateLimiterMemory') };`,
    }));

    // An ESM import of `node:http` reads each of its exports, and three of them load Node's own undici. 20 ms.
    build.onResolve({ filter: /^node:http$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'builtin', sideEffects: false } : undefined,
    );
    const cheap = Object.keys(http).filter((name) => name !== 'default' && !LAZY.has(name));
    build.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `const all = process.getBuiltinModule('${path}'); ${namesOf('all', cheap)}`,
    }));
  },
};

/** Exports of `node:http` that are loaded when they are read. */
const LAZY = new Set(['WebSocket', 'CloseEvent', 'MessageEvent']);
