import {
  issueCertificates,
  services,
  type Certificates,
  type Home,
  type ReplicatedStack,
  type Service,
} from '@postern/dev';
import { watchTlsMaterial } from '@postern/mtls';
import { migrate } from '@postern/postgres';
import { type RedisServer, type ReplicatedRedis } from '@postern/testing';
import { readlinkSync, realpathSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { request, Agent } from 'undici';

import { type Random } from '../random.ts';
import { type ChangingAuthorities, type Stage } from './authorities.ts';

export type Site = {
  home: Home;
  replicated: ReplicatedStack;
  authorities: ChangingAuthorities;
  random: Random;
  kills: number;
  /** Where the code of the release before stands; absent: this build is upgraded to itself. */
  release?: string;
  /** New certificates of the callers: new connections, new tokens. */
  renew(certificates: Certificates): Promise<void>;
};

export type Event = {
  name: string;
  /** An operator's own doing: no answer may be a 5xx, not even a 503 that says when to come again. */
  planned: boolean;
  /** @returns what did not come out as it should */
  happen(site: Site): Promise<string[]>;
};

/** Whose schema the next release changes beyond what its own migrations do. */
const changed: readonly Service[] = ['crypto-store', 'audit-sink'];
/** Files are looked at when they change; this is longer than all take to notice. */
const TAKEN_MS = 2_000;

const rollingRestart: Event = {
  name: 'rolling restart',
  planned: true,
  async happen({ replicated: { fleet } }) {
    for (const place of fleet.places) await fleet.restart(place);
    return [];
  },
};

/**
 * The next release is this build with one migration more than its own: it adds first, while the replicas of the release before
 * serve; they are replaced one by one, of one service after the other; then it takes away. Where no release before is given both
 * run this build, and this shows what a change of the schema and the replacing cost, and not that two releases understand each other.
 */
const rollingUpgrade: Event = {
  name: 'rolling upgrade with a migration',
  planned: true,
  async happen({ replicated: { fleet, stack }, release }) {
    const expand = {
      '0001-expand': `create table next_release (id bigint primary key, note text);
        alter table audit_producer add column next_release text default 'as before'`,
    };
    const contract = {
      '0002-contract': 'alter table audit_producer drop column next_release; drop table next_release',
    };
    const failed: string[] = [];
    for (const service of services) {
      failed.push(...runsOther(service, fleet.pids(service), release, true));
      await fleet.upgrade(service);
      const adds = changed.includes(service);
      const expanded = adds ? await migrateMore(service, stack, expand) : [];
      for (const place of fleet.of(service)) await fleet.restart(place);
      failed.push(...runsOther(service, fleet.pids(service), release, false));
      if (!adds) continue;
      const contracted = await migrateMore(service, stack, { ...expand, ...contract });
      const ran = [...expanded, ...contracted].join(', ');
      if (ran !== 'next-release/0001-expand, next-release/0002-contract') failed.push(`${service} migrated: ${ran}`);
    }
    return failed;
  },
};

/** Replicas that do not run the code that they should: of the release before until they are replaced, of this build from then on. */
function runsOther(service: Service, pids: readonly number[], release: string | undefined, before: boolean): string[] {
  if (release === undefined) return [];
  const old = realpathSync(release);
  return pids
    .map((pid) => readlinkSync(`/proc/${pid}/cwd`))
    .filter((folder) => (folder === old) !== before)
    .map((folder) => `${service} runs from ${folder} ${before ? 'before it is' : 'once it was'} replaced`);
}

async function migrateMore(
  service: Service,
  stack: ReplicatedStack['stack'],
  steps: Record<string, string>,
): Promise<string[]> {
  const { POSTERN_POSTGRES_OWNER_URL: url = '' } = stack.environmentOf(service);
  const tls = await watchTlsMaterial(stack.state.certificates[service]);
  try {
    return await migrate({
      url,
      tls,
      sets: [{ set: 'next-release', steps }],
      serviceRole: service.replaceAll('-', '_'),
    });
  } finally {
    tls.close();
  }
}

const killed: Event = {
  name: 'kill -9 at random',
  planned: false,
  async happen({ replicated: { fleet }, random, kills }) {
    for (let n = 0; n < kills; n += 1) {
      await delay(random.between(0, 500));
      await fleet.crash(random.pick(fleet.places)!);
    }
    return [];
  },
};

/** New leaves of the same CA for everybody who has one, the stores too. */
const certificates: Event = {
  name: 'rotation of every certificate',
  planned: true,
  happen: (site) => issueAgain(site, 'before'),
};

const authority: Event = {
  name: 'rotation of the CA',
  planned: true,
  async happen(site) {
    for (const stage of ['both believed', 'next shown', 'after'] as const) await issueAgain(site, stage);
    return [...(await stillBelieved(site)), ...(await stillShown(site))];
  },
};

async function issueAgain(site: Site, stage: Stage): Promise<string[]> {
  const { home, authorities, replicated } = site;
  authorities.enter(stage);
  // Stores first: they must believe what services show next, and a service shows it when its file is there.
  await replicated.stack.rotate();
  await replicated.redis.cache.rotate();
  await replicated.redis.bus.rotate();
  const issued = await issueCertificates(home, authorities);
  await delay(TAKEN_MS);
  await site.renew(issued);
  return [];
}

/** Replicas that let a certificate of the CA from before in (R12). */
async function stillBelieved({ authorities, replicated: { fleet } }: Site): Promise<string[]> {
  const { cert, key, ca } = await authorities.issueFromBefore('job');
  const agent = new Agent({ connect: { cert, key, ca } });
  const failed: string[] = [];
  for (const { name, ports } of fleet.places) {
    const answer = await request(`https://127.0.0.1:${ports.api}/health`, { dispatcher: agent }).catch(() => undefined);
    await answer?.body.dump();
    if (answer !== undefined) failed.push(`${name} let in a certificate of the CA from before: ${answer.statusCode}`);
  }
  await agent.close();
  return failed;
}

/** Replicas that those who believe only the next CA do not. */
async function stillShown({ authorities, replicated: { fleet } }: Site): Promise<string[]> {
  const { cert, key, ca } = await authorities.authority.issue('job');
  const agent = new Agent({ connect: { cert, key, ca } });
  const failed: string[] = [];
  for (const { name, ports } of fleet.places) {
    const answer = await request(`https://127.0.0.1:${ports.api}/health`, { dispatcher: agent }).catch(String);
    if (typeof answer === 'string') failed.push(`${name} cannot be reached under the next CA: ${answer}`);
    else await answer.body.dump();
  }
  await agent.close();
  return failed;
}

const failover = (kind: 'cache' | 'bus'): Event => ({
  name: `failover of the Redis of the ${kind}`,
  planned: true,
  async happen({ replicated: { redis } }) {
    const before = await redis[kind].master();
    await before.kill();
    const after = await untilAnother(redis[kind], before);
    return after === undefined ? [`the sentinels of the ${kind} chose no other master`] : [];
  },
});

const CHOSEN_WITHIN_MS = 120_000;

async function untilAnother(set: ReplicatedRedis, before: RedisServer): Promise<RedisServer | undefined> {
  for (const end = performance.now() + CHOSEN_WITHIN_MS; performance.now() < end; await delay(200)) {
    const master = await set.master().catch(() => before);
    if (master !== before) return master;
  }
  return undefined;
}

const postgres: Event = {
  name: 'restart of Postgres',
  planned: false,
  async happen({ replicated: { stack } }) {
    await stack.restartPostgres();
    return [];
  },
};

/** What happens to the replicated stack while it is under load, in this order. */
export const events: readonly Event[] = [
  rollingUpgrade,
  rollingRestart,
  killed,
  certificates,
  authority,
  failover('bus'),
  failover('cache'),
  postgres,
];
