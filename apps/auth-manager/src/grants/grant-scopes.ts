/**
 * The scopes of a grant token (R11): handle ∩ consent, narrowed to what was asked for when something was.
 * Sorted, without repeats. Empty means that nothing may be minted.
 */
export function grantScopes(from: {
  handle: readonly string[];
  consent: readonly string[];
  asked?: readonly string[] | undefined;
}): string[] {
  const consented = new Set(from.consent);
  const asked = from.asked && new Set(from.asked);
  const kept = from.handle.filter((scope) => consented.has(scope) && (!asked || asked.has(scope)));
  return [...new Set(kept)].sort();
}
