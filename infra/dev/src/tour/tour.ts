import { type Stack } from '../stack.ts';
import { audit } from './auditor.ts';
import { openCast } from './cast.ts';
import { consent } from './consent.ts';
import { grantToken, work } from './job.ts';
import { stage, type Done } from './row.ts';

/** What the log must hold once the tour has been played. */
const ACTIONS = [
  'token.exchanged',
  'consent.started',
  'consent.completed',
  'grant.used',
  'record.written',
  'record.read',
  'secret.created',
  'secret.read',
];

/** Plays the tour of the architecture, row by row, over mutual TLS with real tokens. @throws StepFailed naming the row */
export async function playTour(stack: Stack): Promise<Done[]> {
  const { state, certificates } = stack;
  const { ca } = certificates.of.portal;
  const cast = openCast(state, certificates);
  const { play, done } = stage();
  const since = new Date();
  try {
    const { grant } = await consent(state, cast, ca, play);
    const g = await grantToken(stack, cast, grant, play);
    await work(stack, cast, g, play);
    await audit(state, cast, ca, { actions: ACTIONS, since }, play);
    return done;
  } finally {
    await cast.close();
  }
}
