/** What a case compares: two ways of doing one thing, each giving a rate or a cost in the same unit. */
export type Pair = {
  /** One measurement of ours, in `unit`. */
  ours(): Promise<number>;
  /** One measurement of the peer or floor, in `unit`. */
  peer(): Promise<number>;
  /** What the ratio does not say, a line each. */
  notes?(): string[];
  close(): Promise<void>;
};

export type Case = {
  /** Begins with the lib, service or part that it is about: `envelope/seal`. */
  name: string;
  unit: string;
  /** What `peer` is. */
  against: string;
  /** Ours divided by the peer must be at least this (`atLeast`), or at most this (`atMost`). */
  goal: { atLeast: number } | { atMost: number };
  /** Pairs that are not recorded, before those that are. Default 1. */
  warmPairs?: number;
  prepare(): Promise<Pair>;
};

/**
 * What a running service needs until its cost no longer falls: V8 compiles what is hot over some ten thousand requests, of
 * which a pair sends some thousands. A read costs a third less then than after one pair.
 */
export const SERVICE_WARM_PAIRS = 6;

/** One line of the table, and of `--json`. */
export type Row = {
  case: string;
  value: number;
  unit: string;
  against: string;
  goal: string;
  holds: boolean;
  ours: number;
  peer: number;
  notes?: string[];
};

const PAIRS = 5;

export const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/**
 * Measures a case as five alternating pairs and takes the median of the pairs' ratios, so that whatever else the machine
 * does falls on both sides.
 */
export async function measure({ name, unit, against, goal, warmPairs = 1, prepare }: Case): Promise<Row> {
  const pair = await prepare();
  try {
    for (let warmed = 0; warmed < warmPairs; warmed++) {
      await pair.ours();
      await pair.peer();
    }
    const ours: number[] = [];
    const peer: number[] = [];
    for (let round = 0; round < PAIRS; round++) {
      ours.push(await pair.ours());
      peer.push(await pair.peer());
    }
    const value = median(ours.map((one, round) => one / (peer[round] ?? NaN)));
    const atLeast = 'atLeast' in goal;
    return {
      case: name,
      value,
      unit,
      against,
      goal: atLeast ? `>= ${goal.atLeast}` : `<= ${goal.atMost}`,
      holds: atLeast ? value >= goal.atLeast : value <= goal.atMost,
      ours: median(ours),
      peer: median(peer),
      ...(pair.notes === undefined ? {} : { notes: pair.notes() }),
    };
  } finally {
    await pair.close();
  }
}

/** Runs `once` for about `ms` milliseconds and returns how often a second of CPU time it ran; for work on one thread. */
export async function perCpuSecond(once: () => unknown, ms = 300): Promise<number> {
  const before = process.cpuUsage();
  const until = performance.now() + ms;
  let runs = 0;
  while (performance.now() < until) {
    for (let i = 0; i < 20; i++) await once();
    runs += 20;
  }
  const { user, system } = process.cpuUsage(before);
  return runs / ((user + system) / 1e6);
}
