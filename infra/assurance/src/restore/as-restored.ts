import { auditorToken, openSession } from '../crashes/sessions.ts';
import { payloadOf } from '../crashes/operations.ts';
import type { Witness } from '../crashes/proofs.ts';
import type { Traffic } from '../crashes/traffic.ts';
import { read } from './logged-traffic.ts';
import type { Operator, Site } from './site.ts';

const SAMPLE = 50;

/** What a restored log must still prove: receipts of a sample, and checkpoints seen before it. @returns what it does not */
export async function provenAgain(site: Site, witness: Witness, traffic: Traffic): Promise<string[]> {
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
export async function grantsAreAsked(operator: Operator): Promise<string[]> {
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
export async function recordsAsBackedUp(
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
