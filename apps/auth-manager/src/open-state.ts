import { openIssuer } from '@postern/issuer';
import { openServiceState, type Setting as ServiceSetting } from '@postern/service';
import type { Config } from './config.ts';
import type { Schema } from './db/schema.ts';
import { counts, guards } from './grants/handle-guard.ts';
import { openVault } from './grants/vault.ts';

export type Setting = ServiceSetting<Config>;
export type State = Awaited<ReturnType<typeof openState>>;

/** What the service keeps, and by which it keeps it: what every service does, and what it seals and signs with. */
export async function openState(setting: Setting) {
  const { config, closing, profile, now } = setting;
  const state = await openServiceState<Schema>(setting, { guards, counts });
  const { query } = state.postgres;
  const vault = openVault(state.keys);
  const signing = { query, seal: vault.service, issuer: config.publicUrl, now };
  const issuer = closing.after(await openIssuer({ ...signing, kinds: ['grant+jwt'], profile }));
  return { ...state, vault, issuer };
}
