/** A place up to which the log provably holds our events, and the index of its entry there. */
type Mark = { epoch: number; seq: number; index: number };

const MOST = 100;

/**
 * Which of our events may be forgotten: all that the log holds, but where its checkpoints are published elsewhere only those
 * under a published one, so that a log restored from a backup can be filled again (R27).
 */
export function createKeptMarks() {
  let waiting: Mark[] = [];
  let free: Mark | null = null;
  return {
    /** @param published entries of the newest published checkpoint; null where none has to be. */
    note(mark: Mark, published: number | null) {
      const newest = waiting.at(-1) ?? free;
      if (!newest || mark.index > newest.index) waiting.push(mark);
      // A later mark covers an earlier one: between the oldest and the newest some may be left out.
      if (waiting.length > MOST) waiting.splice(1, 1);
      free = waiting.findLast(({ index }) => published === null || index < published) ?? free;
      waiting = waiting.filter(({ index }) => !free || index > free.index);
    },
    /** Whether something is held whose checkpoint is not published yet: it is within moments. */
    waits: () => waiting.length > 0,
    /** Up to here events may be forgotten. */
    free: (): { epoch: number; seq: number } | null => free,
  };
}
