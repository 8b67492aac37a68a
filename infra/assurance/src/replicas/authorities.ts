import { type Authorities } from '@postern/dev';
import { busCa, openAuthority, type Authority } from '@postern/testing';
import { join } from 'node:path';

/**
 * How far the change of the CA is. Everybody is told to believe the next one before anybody shows its certificate, and shows it
 * before the one before is believed no more.
 */
export type Stage = 'before' | 'both believed' | 'next shown' | 'after';

export type ChangingAuthorities = Authorities & {
  /** From now on certificates and anchors are those of this stage. */
  enter(stage: Stage): void;
  /** A certificate of the CA from before, with the anchors of now. */
  issueFromBefore: Authority['issue'];
};

/** The CA of the workloads, and the one after it. The bus keeps its own. */
export function changingAuthorities(directory: string): ChangingAuthorities {
  const before = openAuthority({ directory: join(directory, 'ca'), name: 'Postern development CA' });
  const next = openAuthority({ directory: join(directory, 'next-ca'), name: 'Postern development CA, the next' });
  let stage: Stage = 'before';
  const signer = () => (stage === 'next shown' || stage === 'after' ? next : before);
  const anchors = async () => {
    if (stage === 'before') return before.certificate();
    if (stage === 'after') return next.certificate();
    return `${await before.certificate()}\n${await next.certificate()}`;
  };
  const issue =
    (by: () => Authority): Authority['issue'] =>
    async (workload, options = {}) =>
      by().issue(workload, { ...options, anchors: await anchors() });
  return {
    authority: {
      certificate: anchors,
      certificateForBrowsers: () => signer().certificateForBrowsers(),
      issue: issue(signer),
    },
    busAuthority: busCa(directory),
    enter: (next) => void (stage = next),
    issueFromBefore: issue(() => before),
  };
}
