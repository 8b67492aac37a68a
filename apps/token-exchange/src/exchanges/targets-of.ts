import type { PolicyDocument } from '@postern/policy';
import { ExchangeRefused } from './refusal.ts';

/** As the form has it: each name may stand several times (RFC 8693 section 2.1, RFC 8707 section 2). */
export type Named = { audience: readonly string[]; resource: readonly string[]; scopes: readonly string[] };

/** At least one, each once, in the order in which they were named. */
export type Targets = readonly [string, ...string[]];

/**
 * The targets that a request names: by audience, by address, or by its scopes alone, which then belong to one target. Several
 * are named one by one, so nobody gets a token for more places than they said.
 * @throws ExchangeRefused `target_unknown`, `resource_malformed`, `no_target`
 */
export function targetsOf({ targets, scopes }: PolicyDocument, named: Named): Targets {
  const { audience, resource } = named;
  if (audience.length + resource.length === 0) {
    const meant = new Set(
      named.scopes
        .map((name) => scopes.find((scope) => scope.name === name)?.audience)
        .filter((one) => one !== undefined),
    );
    const [only] = meant;
    if (only === undefined || meant.size > 1) throw new ExchangeRefused('no_target');
    return [only];
  }
  const [first, ...more] = new Set([...audience, ...resource.map(audienceAt)]);
  if (first === undefined) throw new ExchangeRefused('no_target');
  return [first, ...more];

  function audienceAt(uri: string): string {
    // RFC 8707 section 2: absolute, without a fragment.
    if (!URL.canParse(uri) || uri.includes('#')) throw new ExchangeRefused('resource_malformed');
    const target = targets.find(({ resources }) => resources.some((one) => sameAddress(one, uri)));
    if (!target) throw new ExchangeRefused('target_unknown');
    return target.audience;
  }
}

const sameAddress = (one: string, other: string) => new URL(one).href === new URL(other).href;
