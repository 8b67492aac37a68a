import { decodeJwt } from 'jose';

import { step, StepFailed } from '../progress.ts';

/** One line of the closing table. */
export type Done = { row: string; outcome: string; ms: number };

export type Play = <T>(row: string, run: () => Promise<{ outcome: string; value: T }>) => Promise<T>;

/** Plays rows one by one, a line for each as it is done, and keeps what came of them. */
export function stage(): { play: Play; done: Done[] } {
  const done: Done[] = [];
  return {
    done,
    async play(row, run) {
      const started = performance.now();
      const { outcome, value } = await step(row, run);
      done.push({ row, outcome, ms: performance.now() - started });
      return value;
    },
  };
}

/** Says what a token is, from its claims; never the token itself. */
export function describe(token: string): string {
  const { aud, sub, scope, act, cnf } = decodeJwt<{ scope?: string; act?: Actor; cnf?: Record<string, string> }>(token);
  const parts = [`aud ${[aud ?? '?'].flat().join('+')}`];
  if (scope) parts.push(scope);
  if (act) parts.push(`act ${chain(act)}`);
  if (sub && !act) parts.push(`sub ${sub.length > 12 ? `${sub.slice(0, 8)}…` : sub}`);
  parts.push(cnf?.['x5t#S256'] ? 'bound to its certificate' : cnf?.['jkt'] ? 'DPoP-bound' : 'NOT BOUND');
  return parts.join(', ');
}

type Actor = { sub?: string; act?: Actor };

const chain = (actor: Actor): string => [actor.sub ?? '?', ...(actor.act ? [chain(actor.act)] : [])].join(' ← ');

/** A row's own check of what it got. @throws StepFailed naming what was expected */
export function expect(holds: boolean, what: string): void {
  if (!holds) throw new StepFailed('tour', new Error(`expected ${what}`));
}
