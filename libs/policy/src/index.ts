export { policyDocument, policyJsonSchema, type PolicyDocument } from './document.ts';
export { risks, subjectKinds, type ScopeDecision, type SubjectKind } from './document-shape.ts';
export { checkPolicy, policyChecks, type CheckResult, type PolicyChecks } from './check-policy.ts';
export { evaluate, hasRole, type Decision, type Refusal, type Request, type Rule } from './evaluate.ts';
export { evaluateTogether, type JointRequest } from './evaluate-together.ts';
export { ruleAnswers, ruleOf, type RefusalAnswer } from './refusal-answer.ts';
export { quotas, quotasFor, type Quota, type Quotas } from './tenant-quotas.ts';
export { hashClientSecret, openClientSecrets, type ClientSecrets } from './client-secret.ts';
