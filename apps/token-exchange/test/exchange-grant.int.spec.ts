import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Principal } from '@postern/oidc';
import { Secret } from '@postern/runtime';
import { Agent } from 'undici';
import { exchangeGrantAt } from '../src/provider/exchange-grant.ts';

let server: Server;
let dispatcher: Agent;
let answer: (response: ServerResponse) => void;

beforeAll(async () => {
  server = createServer((request, response) => request.resume().once('end', () => answer(response)));
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  dispatcher = new Agent();
});
afterAll(async () => {
  await dispatcher.destroy();
  await new Promise((closed) => server.close(closed));
});

const exchanged = () => {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const grant = { token: new Secret('grant') } as Principal;
  return exchangeGrantAt({ url, dispatcher })(grant, { id: 'id', audiences: ['portal'], scopes: ['read'], proofs: [] });
};
const json = { 'content-type': 'application/json' };

test.each<[string, (response: ServerResponse) => void]>([
  [
    'breaks off in its middle',
    (response) => {
      response.writeHead(200, { ...json, 'content-length': '400' }).write('{"access_token":"');
      response.socket?.destroySoon();
    },
  ],
  [
    'never ends',
    (response) => {
      response.writeHead(200, json);
      const more = () => void (response.destroyed || response.write('x'.repeat(16_384), more));
      more();
    },
  ],
  ['is a page', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>busy</p>')],
  ['is empty', (response) => response.writeHead(200, json).end()],
  ['says nothing known', (response) => response.writeHead(500, json).end('{"code":"internal_error"}')],
])('an answer of auth-manager that %s is no answer: the caller may come again', async (_, how) => {
  answer = how;
  await expect(exchanged()).rejects.toMatchObject({ code: 'provider_unavailable' });
});

test('its refusal and its token are taken as they are', async () => {
  answer = (response) => response.writeHead(409, json).end('{"code":"reauthorization_required"}');
  await expect(exchanged()).rejects.toMatchObject({ reason: 'reauthorization' });
  answer = (response) => response.writeHead(200, json).end('{"access_token":"token"}');
  expect((await exchanged()).reveal()).toBe('token');
});
