import { type Case } from './assess.ts';
import { auditCrashes } from './audit/audit-crashes.ts';
import { auditScale } from './audit/audit-scale.ts';
import { stackCrashes } from './crashes/stack-crashes.ts';
import { envelopeRefusals } from './envelope/refusals.ts';
import { envelopeReuse } from './envelope/reuse.ts';
import { exchangeCeilings } from './exchange/ceilings.ts';
import { spiltTokens } from './exchange/spilt-tokens.ts';
import { tokenAttacks } from './exchange/token-attacks.ts';
import { parallelUses } from './grants/parallel-uses.ts';
import { providerFaults } from './grants/provider-faults.ts';
import { refreshCrashes } from './grants/refresh-crashes.ts';
import { helmInCluster } from './cluster/helm-cluster.ts';
import { serviceImage } from './image/service-image.ts';
import { addresses } from './key-proxy/addresses.ts';
import { enumeration } from './key-proxy/enumeration.ts';
import { secretLeakage } from './key-proxy/leakage.ts';
import { lokiForwarding } from './loki/loki-forwarding.ts';
import { manyReplicas } from './replicas/replicas.ts';
import { restoring } from './restore/restore.ts';
import { kmsCalls } from './root-key/kms-calls.ts';
import { leakage } from './store/leakage.ts';
import { lyingCache } from './store/lying-cache.ts';
import { stolenDumps } from './store/stolen-dumps.ts';
import { telemetry } from './telemetry/telemetry.ts';
import { tenantDestruction } from './tenant/destruction.ts';

/** Every case, in the order of the table. */
export const cases: Case[] = [
  stackCrashes,
  manyReplicas,
  restoring,
  telemetry,
  auditCrashes,
  auditScale,
  parallelUses,
  refreshCrashes,
  providerFaults,
  envelopeRefusals,
  envelopeReuse,
  lyingCache,
  stolenDumps,
  leakage,
  tenantDestruction,
  enumeration,
  addresses,
  secretLeakage,
  kmsCalls,
  exchangeCeilings,
  tokenAttacks,
  spiltTokens,
  lokiForwarding,
  serviceImage,
  helmInCluster,
];
