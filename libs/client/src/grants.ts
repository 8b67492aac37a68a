import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

export type StartedConsent = { consent_url: string; session_state_id: string };
export type GrantToken = { access_token: string; expires_in: number };

export type Grants = {
  /** Starts the consent for an offline grant: the person opens `consent_url` in a browser. Scope `grants:write`. */
  startConsent(as: CallAs): Promise<StartedConsent>;
  /** A grant token for the job that this certificate belongs to: the subject token of its exchanges. Scope `grants:use`. */
  accessToken(id: string, as: CallAs): Promise<GrantToken>;
  /** Deletes a handle; the provider's grant is revoked with the last one. Scope `grants:write`. */
  remove(id: string, as: CallAs): Promise<void>;
};

export const createGrants = (call: CallService): Grants => ({
  async startConsent(as) {
    const answer = await call({ method: 'GET', path: '/v1/offline-token', scopes: ['grants:write'] }, as);
    return shaped<StartedConsent>('auth-manager', answer, 'consent_url', 'session_state_id');
  },
  async accessToken(id, as) {
    const answer = await call({ method: 'POST', path: '/v1/access-token', query: { id }, scopes: ['grants:use'] }, as);
    return shaped<GrantToken>('auth-manager', answer, 'access_token', 'expires_in');
  },
  async remove(id, as) {
    await call({ method: 'DELETE', path: '/v1/offline-token-id', query: { id }, scopes: ['grants:write'] }, as);
  },
});
