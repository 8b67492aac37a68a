/** How much of a case is run: in `npm test`, by default, or up to 10^6 operations. */
export const scales = ['small', 'default', 'full'] as const;
export type Scale = (typeof scales)[number];

export const isScale = (name: string): name is Scale => (scales as readonly string[]).includes(name);

export type Circumstances = {
  scale: Scale;
  /** What every random choice of the case follows from. */
  seed: number;
  /** Of a case that is several events in turn, those alone whose name holds this word. */
  only?: string;
  /** The release before this one, for a case that upgrades: a commit or tag of this repository. */
  from?: string;
  /** One line of progress. */
  say: (line: string) => void;
};

/** What a case found. */
export type Findings = {
  /** What was tried, and counted on. */
  tried: number;
  /** Each thing that should have held and did not, except what `lost` counts. */
  failed: string[];
  /** Each acknowledged thing that is gone. */
  lost: string[];
};

export type Case = {
  /** Begins with the lib, service or part that it is about: `stack/crashes`. */
  name: string;
  /** What must hold, in one sentence. */
  guarantee: string;
  run(circumstances: Circumstances): Promise<Findings>;
};

/** One line of the table, and of `--json`. */
export type Row = { case: string; tried: number; failed: number; lost: number; seed: number; holds: boolean };

/** Most lines that are said of what failed, and of what was lost. */
const MOST_SAID = 10;

/** A case holds when something was tried, nothing failed and nothing was lost. */
export const holds = ({ tried, failed, lost }: Findings): boolean =>
  tried > 0 && failed.length === 0 && lost.length === 0;

/** Runs one case. One that throws does not hold. */
export async function assess(each: Case, circumstances: Circumstances): Promise<Row> {
  const { seed, say } = circumstances;
  const findings = await each
    .run(circumstances)
    .catch((error: unknown): Findings => ({ tried: 0, failed: [`it ended with ${String(error)}`], lost: [] }));
  const { tried, failed, lost } = findings;
  for (const line of failed.slice(0, MOST_SAID)) say(`failed: ${line}`);
  for (const line of lost.slice(0, MOST_SAID)) say(`lost: ${line}`);
  const held = holds(findings);
  if (!held) say(`run it again with --seed ${seed}`);
  return { case: each.name, tried, failed: failed.length, lost: lost.length, seed, holds: held };
}
