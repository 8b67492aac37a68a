import { openDestroyedList } from '@postern/branch-keys';
import { logInAs } from '@postern/cli';
import {
  consent,
  openCast,
  openHome,
  quietly,
  services,
  startStack,
  type Cast,
  type Home,
  type Stack,
} from '@postern/dev';
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { holds, type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';
import { misrecorded, missingFrom } from '../crashes/judge.ts';
import { openLogReader } from '../crashes/log-reader.ts';
import { payloadOf } from '../crashes/operations.ts';
import { openWitness } from '../crashes/proofs.ts';
import { auditorToken, openSession } from '../crashes/sessions.ts';
import { startTraffic, type Traffic } from '../crashes/traffic.ts';
import { seeded } from '../random.ts';
import { openOperator, type Operator } from './site.ts';

/** Traffic before the backup, and after it, in milliseconds. */
const trafficMs: Record<Scale, number> = { small: 2_000, default: 5_000, full: 60_000 };
const WORKS_WITHIN_MS = 60_000;
const LOGGED_WITHIN_MS = 120_000;
const POLL_MS = 500;
const SAMPLE = 50;
const TRANSIT = ['transit:encrypt', 'transit:decrypt'];

export const restoring: Case = {
  name: 'stack/restore',
  guarantee:
    'a backup is restored, of the log alone and of everything: what is lost is said, and what was destroyed stays so',
  async run(circumstances) {
    const home = openHome(mkdtempSync(join(tmpdir(), 'postern-assurance-')));
    const list = home.place('kept', 'destroyed-keys.jsonl');
    await openDestroyedList({ path: list });
    let findings: Findings | undefined;
    const settings = async () => ({ 'crypto-store': { POSTERN_DESTROYED_KEYS_PATH: list } });
    const stack = await startStack({ home, idp: 'development', step: quietly, settings });
    const cast = openCast(stack.state, stack.certificates);
    const operator = await openOperator(stack, home, list);
    try {
      findings = await drill({ home, stack, cast, list, operator }, circumstances);
      return findings;
    } finally {
      operator.close();
      await cast.close();
      await stack.close();
      if (findings && holds(findings)) rmSync(home.dir, { recursive: true, force: true });
      else circumstances.say(`databases and logs are kept in ${home.dir}`);
    }
  },
};

type Site = { home: Home; stack: Stack; cast: Cast; list: string; operator: Operator };

async function drill(site: Site, circumstances: Circumstances): Promise<Findings> {
  const { stack, cast, home, list, operator } = site;
  const { scale, say } = circumstances;
  const failed: string[] = [];
  const must = (holds: boolean, what: string) => void (holds || failed.push(what));
  const { grant: grantId } = await consent(
    stack.state,
    cast,
    stack.certificates.of.portal.ca,
    async (_row, play) => (await play()).value,
  );
  const witness = openWitness(await cast.portal.audit.logKey());
  const send = () => trafficFor(site, grantId, circumstances, trafficMs[scale]);

  const sealed = await cast.portal.transit.encrypt(Buffer.from('sealed before the backup'), await alice(site));
  const before = await send();
  const lostBefore = await untilLogged(site, before);
  const backup = join(home.dir, 'backup');
  const older = join(home.dir, 'older-list.jsonl');
  copyFileSync(list, older);
  await destroyed(list, randomUUID());
  const written = await operator.backup(backup);
  must(written.code === 0, `backup: ${written.said}`);
  say(`${before.acknowledged.size} acknowledged; backup; then`);

  const after = await send();
  const lostAfter = await untilLogged(site, after);
  await witness.look(stack, cast.portal);
  // A tenant's transit key is destroyed, as crypto-store does it: on the list first, which its start applies.
  const key = await operator.ask(
    'crypto-store',
    "select branch_key_id from branch_key_owners where purpose = 'transit'",
  );
  await destroyed(list, key);
  await stack.stop('crypto-store');
  await stack.start('crypto-store');
  const opened = async () => cast.portal.transit.decrypt(sealed, await alice(site)).catch(() => undefined);
  must((await opened()) === undefined, 'what a destroyed key sealed was opened before any restore');
  say(`${after.acknowledged.size} acknowledged; a key destroyed`);

  failed.push(...(await refusals(site, backup, older)));

  // The log alone: its producers still have what it lost (R22, R27). Its own events were in what was restored.
  await stack.stop('audit-sink');
  const alone = await operator.restore(backup, ['audit-sink']);
  must(alone.code === 0, `restore of the log: ${alone.said}`);
  await stack.start('audit-sink');
  const ofOthers = await untilWanted(site, (count) => count === 0, others);
  must(ofOthers === 0, `${ofOthers} events of the other producers did not come back`);
  const own = await untilWanted(site, () => true);
  await giveUp(site);
  const lost = [
    ...lostBefore,
    ...lostAfter,
    ...(await untilLogged(site, before)),
    ...(await untilLogged(site, sentToOthers(after))),
  ];
  const ownLost = Number(await operator.ask('audit-sink', 'select count(*) from log_lost'));
  must(ownLost === own, `${own} of the log's own events were wanted and ${ownLost} are listed as lost`);
  failed.push(...(await provenAgain(site, witness, after)));
  say(
    `the log alone restored: ${lost.length} acknowledged operations lost, ${ownLost} of its own events listed as lost`,
  );

  // Everything: what came after the backup is in no database any more.
  const epoch = () => operator.ask('crypto-store', 'select epoch from audit_producer');
  const epochBefore = await epoch();
  await Promise.all(services.map((service) => stack.stop(service)));
  const whole = await operator.restore(backup, services);
  must(whole.code === 0, `restore of everything: ${whole.said}`);
  await Promise.all(services.map((service) => stack.start(service)));
  const wanted = await untilWanted(site, (count) => count > 0);
  must(wanted > 0, 'the log does not say what it lacks');
  const meanwhile = await send();
  await delay(POLL_MS * 4);
  must(
    missingFrom(await read(site, meanwhile), meanwhile).length === meanwhile.acknowledged.size,
    'the log took something new before what it lacks had come or was given up (R27)',
  );
  say(`everything restored: the log lacks ${wanted} events, and took nothing new meanwhile`);

  failed.push(...(await grantsAreAsked(operator)));
  must((await opened()) === undefined, 'a restore brought a destroyed key back (R33)');
  failed.push(...(await recordsAsBackedUp(site, grantId, before, after)));

  await witness.look(stack, cast.portal);
  // A few came back: the databases were dumped one after the other, the log's first.
  const missed = await untilWanted(site, () => true);
  await giveUp(site);
  const givenUp = Number(await operator.ask('audit-sink', 'select count(*) from log_lost'));
  must(givenUp === missed, `${missed} events were wanted and ${givenUp} are listed as lost`);
  must(Number(await epoch()) > Number(epochBefore), 'crypto-store numbers in the epoch of before the restore (R22)');
  lost.push(...(await untilLogged(site, meanwhile)));
  failed.push(...(await provenAgain(site, witness, meanwhile)));
  say(`${givenUp} events given up and listed; the log goes on with ${meanwhile.acknowledged.size} operations`);

  const all = [before, after, meanwhile];
  return {
    tried: all.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0),
    failed: [...failed, ...all.flatMap(({ wrong }) => wrong), ...misrecorded(await read(site, meanwhile), meanwhile)],
    lost,
  };
}

const destroyed = async (list: string, branchKeyId: string) =>
  (await openDestroyedList({ path: list })).add([
    { branchKeyId, version: null, destroyedAt: new Date().toISOString() },
  ]);

/** Whoever is connected, and a list of destroyed keys that is older than the backup, stop a restore before it begins. */
async function refusals({ operator }: Site, backup: string, older: string): Promise<string[]> {
  const connected = await operator.restore(backup, ['audit-sink']);
  const oldList = await operator.restore(backup, ['audit-sink'], older);
  return [
    ...(connected.code === 1 && connected.said.includes('stop it first') ? [] : [`beside the sink: ${connected.said}`]),
    ...(oldList.code === 1 && oldList.said.includes('does not begin') ? [] : [`with an old list: ${oldList.said}`]),
  ];
}

async function alice({ stack, cast }: Site): Promise<{ token: string }> {
  const { ca } = stack.certificates.of.portal;
  const realm = { issuer: stack.state.issuer, clientId: 'portal' as const, postern: cast.portal, ca };
  const subjectToken = await logInAs({ username: 'alice', password: stack.state.users['alice'] ?? '' }, realm);
  return {
    token: (await cast.portal.exchange({ subjectToken, audience: 'crypto-store', scopes: TRANSIT })).accessToken,
  };
}

async function trafficFor(
  { stack, cast }: Site,
  grantId: string,
  { seed }: Circumstances,
  ms: number,
): Promise<Traffic> {
  const session = await openSession(stack, cast, grantId);
  const traffic = startTraffic({ stack, grantId, session, random: seeded(seed).fork(), pauseMs: 120 });
  try {
    await traffic.untilEachWorks(WORKS_WITHIN_MS);
    await delay(ms);
  } finally {
    await traffic.stop();
  }
  return traffic;
}

const read = async ({ stack, cast }: Site, traffic: Traffic) =>
  openLogReader(cast.portal, traffic.prefix).read(await auditorToken(stack, cast));

/** @returns what is still missing when it has had its time */
async function untilLogged(site: Site, traffic: Traffic): Promise<string[]> {
  for (const until = performance.now() + LOGGED_WITHIN_MS; ; await delay(POLL_MS)) {
    const missing = missingFrom(await read(site, traffic), traffic);
    if (missing.length === 0 || performance.now() > until) return missing;
  }
}

type Wanted = { producer: string; entries: number };
const others = ({ producer }: Wanted) => producer !== 'audit-sink';

/** Without the reads of the log, whose events are the log's own. */
const sentToOthers = (traffic: Traffic): Traffic => ({
  ...traffic,
  acknowledged: new Map([...traffic.acknowledged].filter(([, { service }]) => service !== 'audit-sink')),
});

/** How many events of `whom` the log says it lacks, once that `is` so or it has had its time. */
async function untilWanted(
  { stack, cast }: Site,
  is: (count: number) => boolean,
  whom: (one: Wanted) => boolean = () => true,
): Promise<number> {
  const url = `${stack.state.urls['audit-sink'].api}/v1/log/producers`;
  for (const until = performance.now() + LOGGED_WITHIN_MS; ; await delay(POLL_MS)) {
    const { body } = await cast.portal.fetch(url, { method: 'GET', token: await auditorToken(stack, cast) });
    const { wanted = [] } = JSON.parse(body) as { wanted?: Wanted[] };
    const count = wanted.filter(whom).reduce((sum, { entries }) => sum + entries, 0);
    if (is(count) || performance.now() > until) return count;
  }
}

/** Gives up what is still wanted, as the operator does: by the size that the log names. */
async function giveUp(site: Site): Promise<void> {
  const { stack } = site;
  const size = await publishedSize(site);
  await stack.stop('audit-sink');
  await stack.start('audit-sink', { POSTERN_AUDIT_ACCEPT_LOSS: size });
  const left = await untilWanted(site, (count) => count === 0);
  if (left > 0) throw new Error(`the log of ${size} still waits for ${left} events that were given up`);
}

/** The size of the log that is published: what it names when it asks what to give up. */
async function publishedSize({ stack, cast }: Site): Promise<string> {
  const { body } = await cast.portal.fetch(`${stack.state.urls['audit-sink'].api}/v1/log/checkpoint`, {
    method: 'GET',
  });
  return body.split('\n')[1] ?? '';
}

async function provenAgain(site: Site, witness: ReturnType<typeof openWitness>, traffic: Traffic): Promise<string[]> {
  const { stack, cast } = site;
  const token = await auditorToken(stack, cast);
  const events = [...(await read(site, traffic)).values()].flat().slice(0, SAMPLE);
  const unproven = await witness.unproven(
    cast.portal,
    token,
    events.map(({ eventId }) => eventId),
  );
  await witness.look(stack, cast.portal);
  return [...unproven, ...(await witness.inconsistencies(stack, cast.portal, token))];
}

/** R20: the grant was used after the restore, by the traffic; it had been confirmed again first. */
async function grantsAreAsked(operator: Operator): Promise<string[]> {
  const at = await operator.ask('auth-manager', 'select at from restores');
  const unasked = await operator.ask(
    'auth-manager',
    'select count(*) from grants, restores where confirmed_at < restores.at and state = $$active$$',
  );
  return [
    ...(at === '' ? ['auth-manager did not notice that it was restored'] : []),
    ...(unasked === '0' ? [] : [`${unasked} grants were used without a question to their provider (R20)`]),
  ];
}

/** Records of before the backup are there, those of after it are not. */
async function recordsAsBackedUp(
  { stack, cast }: Site,
  grantId: string,
  before: Traffic,
  after: Traffic,
): Promise<string[]> {
  const { job } = await openSession(stack, cast, grantId);
  const payload = async (key: string) =>
    (await cast.job.records.retrieve(key, { token: job['crypto-store'] }).catch(() => undefined))?.payload;
  const failed: string[] = [];
  for (const key of before.stored.slice(-SAMPLE))
    if ((await payload(key)) !== payloadOf(key)) failed.push(`record ${key} was backed up and cannot be read`);
  for (const key of after.stored.slice(-SAMPLE))
    if ((await payload(key)) !== undefined) failed.push(`record ${key} is newer than the backup and is there`);
  return failed;
}
