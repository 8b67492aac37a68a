import { openServiceState, type Setting as ServiceSetting } from '@postern/service';
import { type Config } from './config.ts';
import { type Schema } from './db/schema.ts';
import { guards } from './secrets/secret-guard.ts';

export type Setting = ServiceSetting<Config>;
export type State = Awaited<ReturnType<typeof openState>>;

/** What the service keeps, and by which it keeps it. */
export const openState = (setting: Setting) => openServiceState<Schema>(setting, { guards });
