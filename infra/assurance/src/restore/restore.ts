import { openDestroyedList } from '@postern/branch-keys';
import { logInAs } from '@postern/cli';
import { consent, openCast, openHome, quietly, services, startStack } from '@postern/dev';
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { holds, type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';
import { misrecorded, missingFrom } from '../crashes/judge.ts';
import { openWitness, type Witness } from '../crashes/proofs.ts';
import { type Traffic } from '../crashes/traffic.ts';
import { grantsAreAsked, provenAgain, recordsAsBackedUp } from './as-restored.ts';
import { read, sentToOthers, trafficFor, untilLogged } from './logged-traffic.ts';
import { openOperator, type Site } from './site.ts';
import { giveUp, others, untilWanted } from './what-the-log-lacks.ts';

/** Traffic before the backup, and after it, in milliseconds. */
const trafficMs: Record<Scale, number> = { small: 2_000, default: 5_000, full: 60_000 };
const MEANWHILE_MS = 2_000;
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

/** What the parts of a drill share: what was sent when, and what was found. */
type Drill = Site & {
  grantId: string;
  witness: Witness;
  backup: string;
  /** Traffic until the backup, and after it. */
  before: Traffic;
  after: Traffic;
  send(): Promise<Traffic>;
  /** Opens what was sealed before the backup under a key that was destroyed after it; undefined: it cannot. */
  opened(): Promise<unknown>;
  must(holds: boolean, what: string): void;
  failed: string[];
  lost: string[];
  say: Circumstances['say'];
};

async function drill(site: Site, circumstances: Circumstances): Promise<Findings> {
  const at = await backedUp(site, circumstances);
  await restoreTheLog(at);
  const meanwhile = await restoreEverything(at);
  const { before, after, failed, lost } = at;
  const all = [before, after, meanwhile];
  return {
    tried: all.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0),
    failed: [...failed, ...all.flatMap(({ wrong }) => wrong), ...misrecorded(await read(site, meanwhile), meanwhile)],
    lost,
  };
}

/** Traffic, a backup, traffic after it, and a key destroyed. */
async function backedUp(site: Site, circumstances: Circumstances): Promise<Drill> {
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
  const lost = [...lostBefore, ...lostAfter];
  return { ...site, grantId, witness, backup, before, after, send, opened, must, failed, lost, say };
}

/** The log alone: its producers still have what it lost (R22, R27). Its own events were in what was restored. */
async function restoreTheLog(at: Drill): Promise<void> {
  const { stack, operator, backup, before, after, must, failed, lost, say } = at;
  await stack.stop('audit-sink');
  const alone = await operator.restore(backup, ['audit-sink']);
  must(alone.code === 0, `restore of the log: ${alone.said}`);
  await stack.start('audit-sink');
  const ofOthers = await untilWanted(at, (count) => count === 0, others);
  must(ofOthers === 0, `${ofOthers} events of the other producers did not come back`);
  const own = await untilWanted(at, () => true);
  await giveUp(at);
  lost.push(...(await untilLogged(at, before)), ...(await untilLogged(at, sentToOthers(after))));
  const ownLost = Number(await operator.ask('audit-sink', 'select count(*) from log_lost'));
  must(ownLost === own, `${own} of the log's own events were wanted and ${ownLost} are listed as lost`);
  failed.push(...(await provenAgain(at, at.witness, after)));
  say(
    `the log alone restored: ${lost.length} acknowledged operations lost, ${ownLost} of its own events listed as lost`,
  );
}

/** Everything: what came after the backup is in no database any more. @returns what was sent before the log went on */
async function restoreEverything(at: Drill): Promise<Traffic> {
  const { stack, cast, operator, backup, must, failed, lost, say } = at;
  const epoch = () => operator.ask('crypto-store', 'select epoch from audit_producer');
  const epochBefore = await epoch();
  await Promise.all(services.map((service) => stack.stop(service)));
  const whole = await operator.restore(backup, services);
  must(whole.code === 0, `restore of everything: ${whole.said}`);
  await Promise.all(services.map((service) => stack.start(service)));
  const wanted = await untilWanted(at, (count) => count > 0);
  must(wanted > 0, 'the log does not say what it lacks');
  const meanwhile = await at.send();
  await delay(MEANWHILE_MS);
  must(
    missingFrom(await read(at, meanwhile), meanwhile).length === meanwhile.acknowledged.size,
    'the log took something new before what it lacks had come or was given up (R27)',
  );
  say(`everything restored: the log lacks ${wanted} events, and took nothing new meanwhile`);
  failed.push(...(await grantsAreAsked(operator)));
  must((await at.opened()) === undefined, 'a restore brought a destroyed key back (R33)');
  failed.push(...(await recordsAsBackedUp(at, at.grantId, at.before, at.after)));

  await at.witness.look(stack, cast.portal);
  // A few came back: the databases were dumped one after the other, the log's first.
  const missed = await untilWanted(at, () => true);
  await giveUp(at);
  const givenUp = Number(await operator.ask('audit-sink', 'select count(*) from log_lost'));
  must(givenUp === missed, `${missed} events were wanted and ${givenUp} are listed as lost`);
  must(Number(await epoch()) > Number(epochBefore), 'crypto-store numbers in the epoch of before the restore (R22)');
  lost.push(...(await untilLogged(at, meanwhile)));
  failed.push(...(await provenAgain(at, at.witness, meanwhile)));
  say(`${givenUp} events given up and listed; the log goes on with ${meanwhile.acknowledged.size} operations`);
  return meanwhile;
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
