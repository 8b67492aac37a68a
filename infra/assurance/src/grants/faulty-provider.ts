import type { Between } from '@postern/testing';
import type { ServerResponse } from 'node:http';

/** What goes wrong with a refresh at the provider. `acted`: it was done there, so that under strict rotation its answer is lost. */
export type Fault = { name: string; acted: boolean; meets: (response: ServerResponse) => boolean };

const page = (response: ServerResponse, status: number, headers: Record<string, string> = {}) =>
  void response.writeHead(status, { 'content-type': 'text/html', ...headers }).end('<h1>Maintenance</h1>');

const before = (name: string, meets: (response: ServerResponse) => void): Fault => ({
  name,
  acted: false,
  meets: (response) => {
    meets(response);
    return true;
  },
});

/** The realm answers, and something else arrives. */
const after = (name: string, instead: (response: ServerResponse) => void): Fault => ({
  name,
  acted: true,
  meets(response) {
    const { writeHead, end } = response;
    response.writeHead = (() => response) as typeof writeHead;
    response.end = (() => {
      Object.assign(response, { writeHead, end });
      for (const header of response.getHeaderNames()) response.removeHeader(header);
      instead(response);
      return response;
    }) as typeof end;
    return false;
  },
});

const cut = (response: ServerResponse) => void response.socket?.destroy();

export const faults: readonly Fault[] = [
  before('it never answers', () => {}),
  before('it cuts the connection', cut),
  before('500 with a page', (response) => page(response, 500)),
  before('429 with Retry-After', (response) => page(response, 429, { 'retry-after': '1' })),
  before('200 with a page', (response) => page(response, 200)),
  before('a redirect to elsewhere', (response) => page(response, 302, { location: 'https://127.0.0.1:1/token' })),
  after('its answer never comes', () => {}),
  after('it cuts the connection in place of its answer', cut),
  after('502 with a page in place of its answer', (response) => page(response, 502)),
];

/** What stands before the realm: the fault that is set meets each request for tokens, all of which are counted. */
export function openFaults() {
  let fault: Fault | undefined;
  let asked = 0;
  const between: Between = (request, response) => {
    if (!request.url?.endsWith('/protocol/openid-connect/token')) return false;
    asked += 1;
    return fault?.meets(response) ?? false;
  };
  return { between, set: (next: Fault | undefined) => void (fault = next), asked: () => asked };
}
