import { type Service } from '@postern/dev';

import { type Random } from '../random.ts';
import { type Session } from './sessions.ts';

export type Asked = {
  method: 'GET' | 'POST';
  path: string;
  token?: string;
  body?: { type: string; text: string };
};

/** One kind of the tour's operations. */
export type Operation = {
  name: string;
  service: Service;
  as: 'job' | 'portal';
  /** The status that acknowledges it. */
  status: number;
  /** The action of the event that must stand in the log. */
  action: string;
  /** How many callers do it, each one after the other. */
  callers: number;
  /** The longest wait between two, in milliseconds, where there is a limit: a route's of 100 a minute, a person's of 600 exchanges. */
  pauseMs?: number;
  ask(session: Session, at: { id: string; random: Random; grantId: string; stored: readonly string[] }): Asked;
};

const json = (value: unknown) => ({ type: 'application/json', text: JSON.stringify(value) });

/** What a record holds is said by its key: nobody has to remember payloads to check them. */
export const payloadOf = (key: string) => `payload of ${key}`;

export const STORE = 'store';
export const RETRIEVE = 'retrieve';

/** The tour's traffic: each service has at least one kind, so that each crash hits work under way. */
export const operations: readonly Operation[] = [
  {
    name: STORE,
    service: 'crypto-store',
    as: 'job',
    status: 200,
    action: 'record.written',
    callers: 2,
    ask: ({ job }, { id }) => ({
      method: 'POST',
      path: '/store',
      token: job['crypto-store'],
      body: json({ key: id, payload: payloadOf(id) }),
    }),
  },
  {
    name: RETRIEVE,
    service: 'crypto-store',
    as: 'job',
    status: 200,
    action: 'record.read',
    callers: 3,
    ask: ({ job }, { random, stored }) => ({
      method: 'GET',
      path: `/retrieve/${random.pick(stored) ?? 'nothing-is-stored-yet'}`,
      token: job['crypto-store'],
    }),
  },
  {
    name: 'exchange',
    service: 'token-exchange',
    as: 'job',
    status: 200,
    action: 'token.exchanged',
    callers: 2,
    pauseMs: 500,
    ask: ({ grant }) => ({
      method: 'POST',
      path: '/token',
      body: {
        type: 'application/x-www-form-urlencoded',
        text: new URLSearchParams({
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token: grant.token,
          subject_token_type: grant.type,
          audience: 'crypto-store',
          scope: 'records:read',
        }).toString(),
      },
    }),
  },
  {
    name: 'use the grant',
    service: 'auth-manager',
    as: 'job',
    status: 200,
    action: 'grant.used',
    callers: 1,
    ask: ({ job }, { grantId }) => ({
      method: 'POST',
      path: `/v1/grants/${grantId}/access-token`,
      token: job['auth-manager'],
      body: json({ audience: 'token-exchange' }),
    }),
  },
  {
    name: 'create a secret',
    service: 'key-proxy',
    as: 'job',
    status: 201,
    action: 'secret.created',
    callers: 1,
    pauseMs: 1_300,
    ask: ({ job }, { id }) => ({
      method: 'POST',
      path: '/create-secret',
      token: job['key-proxy'],
      body: json({ secret_name: id, secret_value: payloadOf(id) }),
    }),
  },
  {
    name: 'read the log',
    service: 'audit-sink',
    as: 'portal',
    status: 200,
    action: 'audit.read',
    callers: 1,
    ask: ({ auditor }) => ({ method: 'GET', path: '/v1/events?limit=1', token: auditor }),
  },
];
