import { openServiceState, type Setting as ServiceSetting } from '@postern/service';
import { answeringKeys } from './answering-keys.ts';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { guards } from './secrets/secret-guard.ts';

export type Setting = ServiceSetting<Config>;
export type State = Awaited<ReturnType<typeof openState>>;

/** What the service keeps, and by which it keeps it. */
export async function openState(setting: Setting) {
  const state = await openServiceState<Schema>(setting, { guards });
  return { ...state, keys: answeringKeys(state.keys) };
}
