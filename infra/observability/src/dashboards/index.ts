import type { Dashboard } from '../dashboard.ts';
import { identity } from './identity.ts';
import { log } from './log.ts';
import { services } from './services.ts';

/** Every dashboard, under the name of its file in `grafana/`. */
export const dashboards: Record<string, Dashboard> = { identity, log, services };
