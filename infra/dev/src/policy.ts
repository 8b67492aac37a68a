import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PolicyDocument } from '@postern/policy';

import { root } from './state.ts';

/**
 * The development policy with its approvers: administrators of the realm of this stack, whose address is known only now. Its version
 * says which one, so that a stack whose ports moved takes the new document.
 */
export function policyFor(issuer: string): unknown {
  const policy = JSON.parse(readFileSync(join(root, 'infra/dev/policy.json'), 'utf8')) as PolicyDocument;
  const realm = createHash('sha256').update(issuer).digest('hex').slice(0, 8);
  return {
    ...policy,
    version: `${policy.version}.${realm}`,
    approvals: { issuer, role: 'admin', twoPersonsFrom: 'critical', rememberSeconds: 600 },
    emergency: {
      role: 'admin',
      lends: 'operator',
      scopes: ['policy:write', 'tenants:write', 'tokens:revoke', 'log:operate'],
      lifeSeconds: 300,
    },
  };
}
