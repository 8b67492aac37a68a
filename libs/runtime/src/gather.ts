/**
 * Makes one call of what a turn of the event loop asks for one by one: under load a turn brings many, and a call costs a
 * write to a socket whatever it asks for. Nobody waits for a timer, nor for a call that is under way.
 * @param most items in one call
 * @param call answers in the order of the items
 */
export function gather<Item, Answer>(
  most: number,
  call: (items: Item[]) => Promise<readonly Answer[]>,
): (item: Item) => Promise<Answer> {
  type Waiter = { item: Item; resolve(answer: Answer): void; reject(error: unknown): void };
  let waiting: Waiter[] = [];

  const flush = async (): Promise<void> => {
    const group = waiting;
    waiting = [];
    try {
      const answers = await call(group.map(({ item }) => item));
      if (answers.length !== group.length) throw new Error('a gathered call gave another number of answers');
      group.forEach(({ resolve }, place) => resolve(answers[place]!));
    } catch (error) {
      for (const { reject } of group) reject(error);
    }
  };

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    if (waiting.length === 0) setImmediate(() => void flush());
    else if (waiting.length === most) void flush();
    waiting.push({ item, resolve, reject });
    return promise;
  };
}
