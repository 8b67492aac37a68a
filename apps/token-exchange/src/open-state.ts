import { sealerFor } from '@postern/branch-keys';
import { openIssuer } from '@postern/issuer';
import { openServiceState, SERVICE_SECRETS, type Setting as ServiceSetting } from '@postern/service';
import type { Config } from './config.ts';
import type { Schema } from './db/schema.ts';
import { openPolicyStore } from './policy/policy-store.ts';

export type Setting = ServiceSetting<Config>;
export type State = Awaited<ReturnType<typeof openState>>;

/** What the service keeps, and by which it keeps it: what every service does, issuer and policy. */
export async function openState(setting: Setting) {
  const { config, closing, profile, now } = setting;
  const state = await openServiceState<Schema>(setting);
  const { query, db } = state.postgres;
  const signing = { query, seal: sealerFor(state.keys, SERVICE_SECRETS), issuer: config.issuer, now };
  const issuer = closing.after(await openIssuer({ ...signing, kinds: ['at+jwt'], profile }));
  const policies = await openPolicyStore({
    query,
    inTransaction: (work) => db.transaction().execute(work),
    file: config.policy,
    now,
  });
  return { ...state, issuer, policies };
}
