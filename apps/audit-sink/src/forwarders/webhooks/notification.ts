import { lineOf } from '../line.ts';
import type { LogEvent } from '../log-event.ts';

/** What a webhook carries, for the same event always the same bytes: nothing personal (R28), and where it stands in the log. */
export const notificationBody = (type: string, logged: LogEvent): string => {
  const { timestamp, event_type, success: _success, ...line } = lineOf(logged, { personal: false });
  return JSON.stringify({ type, timestamp, data: { event_type, ...line } });
};

export const testBody = (now: Date): string =>
  JSON.stringify({ type: 'webhook.test', timestamp: now.toISOString(), data: {} });
