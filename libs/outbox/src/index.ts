export { type Counts, type Guards, type GuardUse } from './guards.ts';
export { type Changes, type ChangeStatement } from './joined-changes.ts';
export { outboxMigrations } from './migrations.ts';
export { openAudit, type Audit, type AuditOptions, type OutboxPostgres } from './open-audit.ts';
export { type Sink, type SinkAddress } from './relay/fetch-watermark.ts';
export { startRelay, type Relay, type RelayOptions } from './relay/start-relay.ts';
export { judgeWatermark, WitnessAlarm, type Witness } from './relay/witness.ts';
export { recordedTransactions, type OwnDeed } from './recorded-transactions.ts';
export { reconcileIntents, type Reconcilers, type Settlement } from './relay/reconcile-intents.ts';
