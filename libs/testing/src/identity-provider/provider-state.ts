import { type Profile } from '@postern/profile';

import { type Keys } from './keys.ts';
import { type Realm, type RealmClient, type RealmUser } from './realm.ts';
import { type Sessions, type UserSession } from './sessions.ts';

/** Everything that the grants and endpoints of one running realm share. */
export type ProviderState = {
  issuer: string;
  realm: Realm;
  profile: Profile;
  keys: Keys;
  sessions: Sessions;
  client(clientId: string): RealmClient | undefined;
  userById(sub: string): RealmUser | undefined;
  userByName(username: string): RealmUser | undefined;
  /** Sends clients of an ended login, all unless named, their logout tokens; settles when all have answered or failed. */
  announceLogout(session: UserSession, clientIds?: string[]): Promise<void>;
  /** Ends the browser's own session, so that the next login asks again. */
  forgetBrowser(sid: string): Promise<void>;
  nowSeconds(): number;
};
