export {
  startLocalPostern,
  type LocalApproval,
  type LocalDecision,
  type LocalPostern,
  type LocalPosternOptions,
} from './local-postern.ts';
