/** One call for all who ask for the same while it is under way, in this process. */
export function createSingleFlight<T>() {
  const flights = new Map<string, Promise<T>>();
  return (name: string, call: () => Promise<T>): Promise<T> => {
    const under = flights.get(name);
    if (under) return under;
    const flight = call().finally(() => flights.delete(name));
    flights.set(name, flight);
    return flight;
  };
}
