export { type LocalApproval, type LocalExchange, type LocalRefusal } from './local-exchange.ts';
export { startLocalPostern, type LocalPostern, type LocalPosternOptions, type LocalSubject } from './local-postern.ts';
export { type LocalDecision, type ScopeTable } from './scope-table.ts';
