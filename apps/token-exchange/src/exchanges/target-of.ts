import type { PolicyDocument } from '@postern/policy';
import { ExchangeRefused } from './refusal.ts';

/** As the form has it: each name may stand several times (RFC 8693 section 2.1, RFC 8707 section 2). */
export type Named = { audience: readonly string[]; resource: readonly string[]; scopes: readonly string[] };

/**
 * The one target that a request names: by audience, by address, or by its scopes alone, each of which belongs to one target.
 * A token has one audience, so all of them must mean the same.
 * @throws ExchangeRefused `several_audiences`, `target_unknown`, `resource_malformed`, `no_target`
 */
export function targetOf({ targets, scopes }: PolicyDocument, named: Named): string {
  const { audience, resource } = named;
  if (audience.length + resource.length === 0) {
    const meant = new Set(
      named.scopes
        .map((name) => scopes.find((scope) => scope.name === name)?.audience)
        .filter((one) => one !== undefined),
    );
    const [only] = meant;
    if (only === undefined || meant.size > 1) throw new ExchangeRefused('no_target');
    return only;
  }
  const meant = new Set([...audience, ...resource.map(audienceAt)]);
  const [only = ''] = meant;
  if (meant.size > 1 || only.includes(' ')) throw new ExchangeRefused('several_audiences');
  return only;

  function audienceAt(uri: string): string {
    // RFC 8707 section 2: absolute, without a fragment.
    if (!URL.canParse(uri) || uri.includes('#')) throw new ExchangeRefused('resource_malformed');
    const target = targets.find(({ resources }) => resources.some((one) => sameAddress(one, uri)));
    if (!target) throw new ExchangeRefused('target_unknown');
    return target.audience;
  }
}

const sameAddress = (one: string, other: string) => new URL(one).href === new URL(other).href;
