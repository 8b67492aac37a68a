import { auditProducer } from './cases/audit-producer.ts';
import { ensureScopeHeld } from './cases/ensure-scope.ts';
import { envelopeFloors } from './cases/envelope-floors.ts';
import { addLatency, append } from './cases/append.ts';
import { open, seal } from './cases/envelope.ts';
import { grantToken, keepAlive, offlineRefresh } from './cases/grants.ts';
import { compile, plan } from './cases/keycloak.ts';
import { mint } from './cases/mint.ts';
import { keyProxy } from './cases/key-proxy.ts';
import { openBaoCases } from './cases/openbao.ts';
import { drain, replicas } from './cases/replicas.ts';
import { retrieve } from './cases/retrieve.ts';
import { idleMemory, start, startOverThree } from './cases/start.ts';
import { streamMemory } from './cases/stream-memory.ts';
import { cachedVerification } from './cases/token-verification.ts';
import { tracing } from './cases/tracing.ts';
import { type Case } from './measure.ts';

/** Every case, in the order of the table. */
export const cases: Case[] = [
  cachedVerification,
  mint,
  ensureScopeHeld,
  seal,
  open,
  ...envelopeFloors,
  retrieve,
  replicas,
  drain,
  tracing,
  grantToken,
  offlineRefresh,
  keepAlive,
  append,
  addLatency,
  start,
  startOverThree,
  idleMemory,
  streamMemory,
  compile,
  plan,
  ...auditProducer,
  ...keyProxy,
  ...openBaoCases,
];
