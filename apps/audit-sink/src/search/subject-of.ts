import type { ReadLog } from '../routes/deps.ts';
import type { Person } from '../subjects/subjects.ts';

/** An id that no row has. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

/** What a search for a person looks for. Somebody of whom nothing was ever recorded has no row, and no events. */
export async function subjectOf(
  { subjects }: Pick<ReadLog, 'subjects'>,
  tenant: string,
  person: Person | undefined,
): Promise<string | undefined> {
  return person && ((await subjects.find(tenant, person)) ?? NOBODY);
}
