import type { Logger } from '@postern/runtime';
import { request, type Dispatcher } from 'undici';
import { z } from 'zod';
import type { FetchJwks } from '../fetch-jwks.ts';
import { openKeySet } from '../key-set.ts';
import { readJson } from '../read-json.ts';
import type { TrustTable } from '../trust-table.ts';
import {
  followRevocations,
  type FollowedRevocations,
  type FollowTimes,
  type Introspect,
} from './follow-revocations.ts';
import { readRevocationsOver } from './read-revocations.ts';
import type { RevocationPage } from './revocation.ts';

export type FollowTrusted = {
  trust: TrustTable;
  /** Mutual TLS to the other services. */
  dispatcher: Dispatcher;
  /** Mutual TLS to the servers of an issuer (ADR-0095). */
  agentOf: (issuer: string) => Dispatcher;
  fetchJwks: FetchJwks;
  /** A service that is an issuer of revocations itself reads its own from its database. */
  own?: { issuer: string; page(after: number): Promise<RevocationPage> };
  logger: Pick<Logger, 'info' | 'error'>;
  now: () => Date;
  times?: FollowTimes;
};

/** Follows every issuer of revocations that the operator's table names (R14). */
export function followTrusted(spec: FollowTrusted): FollowedRevocations {
  const { trust, dispatcher, agentOf, fetchJwks, own, logger, now, times } = spec;
  const read = readRevocationsOver(dispatcher);
  const sources = (trust.revocations ?? []).map(({ issuer, kinds, uri, jwksUri, algorithms }) => ({
    issuer,
    kinds,
    keys: openKeySet({ jwksUri, algorithms, fetchJwks, now }),
    read: (after: number) => (issuer === own?.issuer ? own.page(after) : read(uri, after)),
  }));
  const introspect = introspectOver(agentOf, trust);
  return followRevocations({
    sources,
    now,
    introspect,
    report: ({ issuer, state }) => logger[state === 'followed' ? 'info' : 'error']({ issuer, state }, 'revocations'),
    ...(times && { times }),
  });
}

const MAX_ANSWER_BYTES = 65_536;
const TIMEOUT_MS = 2_000;

/** RFC 7662, for the issuers whose entry says where. */
const introspectOver =
  (agentOf: FollowTrusted['agentOf'], { issuers }: TrustTable): Introspect =>
  async ({ issuer, token }) => {
    const uri = issuers.find((entry) => entry.issuer === issuer)?.introspectionUri;
    if (uri === undefined) return null;
    const answer = await request(uri, {
      method: 'POST',
      dispatcher: agentOf(issuer),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({ token: token.reveal() }).toString(),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return z.looseObject({ active: z.boolean() }).parse(await readJson(answer, MAX_ANSWER_BYTES)).active;
  };
