import { createHash, X509Certificate } from 'node:crypto';
import { Agent } from 'undici';
import { type TlsIdentity } from './options.ts';
import { tokenHints } from './token-claims.ts';

/** One certificate and its open connections; `thumbprint` is the base64url SHA-256 of its DER (RFC 8705 section 3.1). */
export type Identity = { thumbprint: string; agentFor(origin: string): Agent };

export type Identities = {
  /** The identity in use now. */
  current(): Identity;
  /** The identity that a bound token needs, while it is still kept; otherwise the current one. */
  forToken(token: string): Identity;
  close(): Promise<void>;
};

type Held = Identity & {
  material: TlsIdentity;
  agents: Map<string, Agent>;
  notAfter: Date;
  neededUntil: Date;
  retiredAt?: Date;
};

/** A retired certificate is kept at least this long: its holder may come with a token that we have not seen yet. */
const RETIRED_FOR_MS = 15 * 60 * 1000;

/**
 * Keeps one agent per certificate and peer. When the certificate rotates, the earlier one stays, with its connections,
 * until the last token bound to it that passed through here has expired (R12).
 */
export function openIdentities({
  tls,
  connections,
  now,
}: {
  tls: () => TlsIdentity;
  connections: number;
  now: () => Date;
}): Identities {
  const held = new Map<string, Held>();
  let newest: Held | undefined;

  function current(): Held {
    const material = tls();
    if (newest && isSame(newest.material, material)) return newest;
    const opened = openIdentity(material, connections);
    const identity = held.get(opened.thumbprint) ?? opened;
    if (newest) newest.retiredAt = now();
    delete identity.retiredAt;
    held.set(identity.thumbprint, identity);
    newest = identity;
    // Other anchors for the same certificate: connections that were judged by the old ones end with their requests.
    if (!isSame(identity.material, material)) {
      void closeAgents({ ...identity, agents: new Map(identity.agents) });
      identity.agents.clear();
      identity.material = material;
    }
    return identity;
  }

  function dropRetired(): void {
    for (const [thumbprint, identity] of held) {
      if (identity.retiredAt === undefined || keepUntil(identity, identity.retiredAt) > now().getTime()) continue;
      held.delete(thumbprint);
      void closeAgents(identity);
    }
  }

  return {
    current,
    forToken(token) {
      const { boundTo, expiresAt } = tokenHints(token);
      const inUse = current();
      const identity = (boundTo === undefined ? undefined : held.get(boundTo)) ?? inUse;
      if (expiresAt && expiresAt > identity.neededUntil) identity.neededUntil = expiresAt;
      dropRetired();
      return identity;
    },
    async close() {
      await Promise.all([...held.values()].map(closeAgents));
      held.clear();
      newest = undefined;
    },
  };
}

const isSame = (a: TlsIdentity, b: TlsIdentity): boolean => a.cert === b.cert && a.key === b.key && a.ca === b.ca;

function openIdentity(material: TlsIdentity, connections: number): Held {
  const leaf = new X509Certificate(material.cert);
  const agents = new Map<string, Agent>();
  const identity: Held = {
    material,
    thumbprint: createHash('sha256').update(leaf.raw).digest('base64url'),
    notAfter: new Date(leaf.validTo),
    neededUntil: new Date(0),
    agents,
    agentFor(origin) {
      const open = agents.get(origin);
      if (open) return open;
      const { cert, key, ca } = identity.material;
      const agent = new Agent({ connections, connect: { cert, key, ca, minVersion: 'TLSv1.3' } });
      agents.set(origin, agent);
      return agent;
    },
  };
  return identity;
}

const keepUntil = (identity: Held, retiredAt: Date): number =>
  Math.min(identity.notAfter.getTime(), Math.max(identity.neededUntil.getTime(), retiredAt.getTime() + RETIRED_FOR_MS));

async function closeAgents({ agents }: Held): Promise<void> {
  await Promise.all([...agents.values()].map((agent) => agent.close()));
}
