import { type DevelopmentState } from './development-state.ts';
import { CommandFailed, exitCodes } from './outcome.ts';

export type Target = { url: URL; service?: string };

/**
 * What `call` calls: a whole https URL, or `service/path` for the api listener of a service of the development stack,
 * as `crypto-store/retrieve/invoice-7`. The service of a URL is found by its origin.
 *
 * @throws CommandFailed (64)
 */
export function targetOf(text: string, state: DevelopmentState): Target {
  if (/^https?:\/\//.test(text)) {
    const url = new URL(text);
    const service = Object.keys(state.urls).find((name) => Object.values(state.urls[name] ?? {}).includes(url.origin));
    return { url, ...(service === undefined ? {} : { service }) };
  }
  const [service = '', ...path] = text.replace(/^\//, '').split('/');
  const api = state.urls[service]?.api;
  if (api === undefined) {
    throw new CommandFailed(
      exitCodes.usage,
      `${service} is no service; there are ${Object.keys(state.urls).join(', ')}`,
    );
  }
  return { url: new URL(`/${path.join('/')}`, api), service };
}

const scopePrefixes: Record<string, string> = {
  'crypto-store': 'records',
  'auth-manager': 'grants',
  'key-proxy': 'secrets',
  'audit-sink': 'audit',
};

/** The scope that a call most likely needs; the service names another one where it is wrong, and the command steps up. */
export function likelyScope(service: string, method: string): string[] {
  const prefix = scopePrefixes[service];
  if (prefix === undefined) return [];
  return [`${prefix}:${method === 'GET' || method === 'HEAD' || prefix === 'audit' ? 'read' : 'write'}`];
}
