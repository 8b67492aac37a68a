/**
 * What a process of ours is given of this one's environment: where programs are, and where Node keeps what it has compiled
 * (`npm test` names the folder, ADR-0088). Nothing else leaks in.
 */
export function inherited(): Record<string, string> {
  const { PATH = '', NODE_COMPILE_CACHE } = process.env;
  return { PATH, ...(NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE }) };
}
