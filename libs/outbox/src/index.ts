export { type Guards, type GuardUse } from './guards.ts';
export { outboxMigrations } from './migrations.ts';
export { openAudit, type Audit, type AuditOptions, type OutboxPostgres } from './open-audit.ts';
