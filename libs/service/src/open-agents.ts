import { openAgent, type MtlsAgent } from '@postern/mtls';
import { fetchJwksOver, type FetchJwks } from '@postern/oidc';
import { type ServiceState } from './open-state.ts';
import { type Setting } from './setting.ts';

export type Agents = {
  /** To the other services: their own authority alone vouches for them. */
  peers: MtlsAgent;
  /** To the servers of an issuer, by the authority that its entry in the trust table names (ADR-0095); an issuer without one is a service. */
  agentOf(issuer: string): MtlsAgent;
  /** Reads the keys of an issuer over its agent. */
  fetchJwks: FetchJwks;
};

/** Long-lived connections with the service's certificate. Over the second kind goes nothing but what is for an issuer that is marked so. */
export function openAgents({ config, closing }: Setting, { tls }: ServiceState): Agents {
  const { issuers } = config.trust;
  const agents = {
    services: closing.after(openAgent(tls)),
    public: closing.after(openAgent(tls, { authority: 'public' })),
  };
  const keysOver = { services: fetchJwksOver(agents.services), public: fetchJwksOver(agents.public) };
  return {
    peers: agents.services,
    agentOf: (issuer) => agents[issuers.find((entry) => entry.issuer === issuer)?.authority ?? 'services'],
    fetchJwks: (uri) => keysOver[issuers.find((entry) => entry.jwksUri === uri)?.authority ?? 'services'](uri),
  };
}
