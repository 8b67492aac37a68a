import { sealerFor } from '@postern/branch-keys';
import { openServiceState, SERVICE_SECRETS, type Setting as ServiceSetting } from '@postern/service';
import { type Config } from './config.ts';
import { followCheckpointKey } from './log/checkpoint-key.ts';
import { createPseudonyms } from './subjects/pseudonyms.ts';
import { createSubjects } from './subjects/subjects.ts';

export type Setting = ServiceSetting<Config>;
export type State = Awaited<ReturnType<typeof openState>>;

/** What the service keeps, and by which it keeps it: what every service does, the subjects' keys, and the key that signs the log. */
export async function openState(setting: Setting) {
  const { config, now } = setting;
  const state = await openServiceState(setting, { pipelined: true });
  const { query } = state.postgres;
  const sealer = sealerFor(state.keys, SERVICE_SECRETS);
  const subjects = createSubjects(query, state.keys, now);
  const pseudonymOf = createPseudonyms(sealer);
  const key = await followCheckpointKey(query, sealer, { origin: config.origin, fips: config.base.fips });
  return { ...state, subjects, pseudonymOf, key };
}
