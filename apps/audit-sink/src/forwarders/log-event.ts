import type { AuditEvent } from '@postern/audit';

/** An event of the log with where it stands there, and the smallest signed tree that holds it. */
export type LogEvent = {
  index: number;
  event: AuditEvent;
  receivedAt: Date;
  checkpoint: { size: number; root: string };
};
