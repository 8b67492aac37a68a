/** One call for all who ask for the same while it is under way. */
export type SingleFlight<T> = {
  /** `own` is false where another's call was joined: its answer may be older than this question. */
  join(name: string, call: () => Promise<T>): Promise<{ value: T; own: boolean }>;
};

/** Holds only calls that are under way. */
export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<T>>();
  return {
    async join(name, call) {
      const under = flights.get(name);
      if (under !== undefined) return { value: await under, own: false };
      const flight = call().finally(() => flights.delete(name));
      flights.set(name, flight);
      return { value: await flight, own: true };
    },
  };
}
