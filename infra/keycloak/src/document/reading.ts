import { type Profile } from '@postern/profile';

import { type Finding } from './finding.ts';
import { type Path, type Toml } from './toml.ts';

/** What the checks share: where a key stands, what is wrong so far, what an assessor must see. */
export type Reading = {
  file: string;
  toml: Toml;
  profile: Profile;
  waivers: Waivers;
  findings: Finding[];
  /** Records a problem; reading goes on, so that one run shows all of them. */
  refuse(path: Path, message: string, more?: { allowed?: string; control?: string }): void;
  lineOf(path: Path): number;
  /** The text of a file beside the document; undefined where there is none. */
  beside(name: string): string | undefined;
};

export type Waivers = {
  /** Takes a weaker value: with a waiver in force it becomes a finding, otherwise a problem. */
  weaker(reading: Reading, path: Path, what: { allowed: string; control: string }): void;
  /** Waivers that nothing needed, that have expired, or that run for too long. */
  report(reading: Reading): void;
};
