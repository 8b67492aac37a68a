import { problem } from '@postern/runtime';

export type StreamSlots = {
  /**
   * Takes a place for a stream of `caller`; what it returns gives the place back.
   * @throws Problem `too_many_requests` where the caller holds as many as it may.
   */
  take(caller: string): () => void;
};

const RETRY_AFTER_SECONDS = 5;

/**
 * How many streams each caller may hold open at this replica. A place is free again when its stream ends, and after `lifeMs` in any
 * case: a stream whose reader left before the first piece never ends.
 */
export function createStreamSlots({ most, lifeMs }: { most: number; lifeMs: number }): StreamSlots {
  const held = new Map<string, Set<{ until: number }>>();
  return {
    take(caller) {
      const at = performance.now();
      const slots = held.get(caller) ?? new Set();
      for (const slot of slots) if (slot.until <= at) slots.delete(slot);
      if (slots.size >= most) throw problem('too_many_requests', { retryAfterSeconds: RETRY_AFTER_SECONDS });
      const slot = { until: at + lifeMs };
      held.set(caller, slots.add(slot));
      return () => {
        slots.delete(slot);
        if (slots.size === 0 && held.get(caller) === slots) held.delete(caller);
      };
    },
  };
}
