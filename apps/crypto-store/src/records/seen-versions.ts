type Seen = { readonly id: string; readonly version: number };

/** The newest version of each record that this replica saw lately (R34). Records are named by their address. */
export type SeenVersions = {
  /** Notes what was written, or released under its guard. */
  note(address: string, seen: Seen): void;
  /**
   * To be called before a look at Postgres, and its answer with what was found: a version below one that was seen before the
   * look began can only mean that somebody put back an older state of the database.
   */
  before(address: string): (found: Seen | null) => void;
};

const MOST_RECORDS = 50_000;

/** Holds at most 50,000 records, and forgets first what was not seen for longest. `alarm` is told of each fall once. */
export function createSeenVersions(alarm: (fallen: Seen & { seen: number }) => void): SeenVersions {
  const newest = new Map<string, Seen>();
  const note = (address: string, { id, version }: Seen): void => {
    const held = newest.get(address);
    newest.delete(address);
    newest.set(address, held?.id === id && held.version > version ? held : { id, version });
    if (newest.size > MOST_RECORDS) newest.delete(newest.keys().next().value ?? '');
  };
  return {
    note,
    before(address) {
      const floor = newest.get(address);
      return (found) => {
        if (found === null) return;
        if (floor?.id === found.id && found.version < floor.version) {
          alarm({ ...found, seen: floor.version });
          // Told once: whoever reads such a record again and again must not fill the log with it.
          if (newest.get(address) === floor) newest.delete(address);
        }
        note(address, found);
      };
    },
  };
}
