import { createPostern, type Postern } from '@postern/client';
import { type DevelopmentState, identityOf } from './development-state.ts';
import { CommandFailed, exitCodes } from './outcome.ts';
import { logInAs } from './realm/log-in.ts';
import { workloadToken } from './realm/workload-token.ts';

/** The workload through which a person of the development realm comes. */
const PERSONS_CLIENT = 'portal';

export type Subject = { workload: string; person?: string };

/** `--as alice` is a person, who comes through the portal; `--as job` is a workload itself. */
export function subjectOf(name: string, state: DevelopmentState): Subject {
  if (Object.hasOwn(state.users, name)) return { workload: PERSONS_CLIENT, person: name };
  if (Object.hasOwn(state.certificates, name)) return { workload: name };
  const known = [...Object.keys(state.users), ...Object.keys(state.certificates)].join(', ');
  throw new CommandFailed(
    exitCodes.usage,
    `${name} is neither a user nor a workload of this stack; there are ${known}`,
  );
}

/** A client of the stack's services over one workload's certificate. */
export function openPostern(state: DevelopmentState, workload: string): Postern {
  const identity = identityOf(state, workload);
  const urls = {
    tokenExchange: state.urls['token-exchange']?.api,
    cryptoStore: state.urls['crypto-store']?.api,
    authManager: state.urls['auth-manager']?.api,
    keyProxy: state.urls['key-proxy']?.api,
    auditSink: state.urls['audit-sink']?.api,
  };
  const given = Object.fromEntries(Object.entries(urls).filter(([, url]) => url !== undefined));
  return createPostern({ tls: () => identity, urls: given });
}

/** The provider's token of a person (by logging in as a browser would) or of a workload (by its certificate). */
export async function subjectToken(
  state: DevelopmentState,
  { workload, person }: Subject,
  postern: Postern,
): Promise<string> {
  const realm = { issuer: state.issuer, clientId: workload, postern };
  if (person === undefined) return workloadToken(realm);
  const { ca } = identityOf(state, workload);
  return logInAs({ username: person, password: state.users[person] ?? '' }, { ...realm, ca });
}
