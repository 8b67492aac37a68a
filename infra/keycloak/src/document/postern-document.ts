import { type Profile } from '@postern/profile';

import { type Finding } from './finding.ts';
import { type ResolvedRealm } from './resolve-realm.ts';
import { type Document } from './schema.ts';
import { type Setting } from './settings.ts';

/** A document that may be used: checked against its schema, its profile and the rules. */
export type PosternDocument = {
  file: string;
  profile: Profile;
  document: Document;
  realms: readonly ResolvedRealm[];
  /** Every effective value and where it comes from. */
  settings: readonly Setting[];
  findings: readonly Finding[];
};
