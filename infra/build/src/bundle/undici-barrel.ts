const LOADS_UNUSED = /require\('\.\/lib\/(mock|interceptor|cache|web)\//;
const EXPORT = /^module\.exports\.([\w.]+) = (?:new )?(\w+)/;
const BINDING = /^const (?:\{ (.*) \}|(\w+)) = /;
const FETCH = "const fetchImpl = require('./lib/web/fetch').fetch";
const FETCH_LATER = 'const fetchImpl = (...given) => require("./lib/web/fetch").fetch(...given)';

/**
 * undici's entry without its browser side (the classes of fetch, web sockets, caches, cookies), interceptors and mocks,
 * all of which it loads whether or not anybody asks; `fetch` itself is loaded at its first call. Reading an export that
 * went throws, so that no tree runs on half of a package unnoticed.
 *
 * @param barrel the text of `undici/index.js`
 * @throws Error when that is written in another way than this expects
 */
export function prunedUndici(barrel: string): string {
  const unbound = new Set<string>();
  const gone: string[] = [];
  const kept = barrel
    .replace(FETCH, FETCH_LATER)
    .split('\n')
    .filter((line) => {
      const [, name, value] = EXPORT.exec(line) ?? [];
      const goes = LOADS_UNUSED.test(line) || (value !== undefined && unbound.has(value));
      if (!goes) return true;
      if (name !== undefined && !name.includes('.')) gone.push(name);
      const [, several, one] = BINDING.exec(line) ?? [];
      for (const bound of (several ?? one)?.split(', ') ?? []) unbound.add(bound);
      return false;
    });
  if (!barrel.includes(FETCH) || gone.length === 0) throw new Error('undici/index.js changed: look at prunedUndici');
  return `${kept.join('\n')}
for (const name of ${JSON.stringify(gone)}) Object.defineProperty(module.exports, name, {
  enumerable: true,
  get() { throw new Error('this tree has no ' + name + ' of undici') },
});`;
}
