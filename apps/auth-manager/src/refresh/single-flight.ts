/**
 * One call at a time per key in this process: whoever asks while a call is under way shares its outcome, also its
 * error. Replicas are kept apart by the grant's lock, so this only saves connections.
 */
export function singleFlight<Result>() {
  const underWay = new Map<string, Promise<Result>>();
  return (key: string, call: () => Promise<Result>): Promise<Result> => {
    const shared = underWay.get(key);
    if (shared) return shared;
    const started = call().finally(() => underWay.delete(key));
    underWay.set(key, started);
    return started;
  };
}
