import { uuidv7 } from '@postern/runtime';
import type { Query } from '@postern/postgres';
import { signalTypes, type SignalTypes } from './signal-types.ts';

export type Emitted<Types extends SignalTypes = typeof signalTypes> = {
  to: string;
  type: keyof Types & string;
  version: number;
  body: Record<string, unknown>;
};

/**
 * Writes a signal in the transaction of `query`: it will be sent, again and again, until the receiver says that it took it.
 *
 * @returns its id.
 * @throws ZodError when the body does not fit its version: a mistake of the program.
 */
export async function emitSignal<Types extends SignalTypes = typeof signalTypes>(
  query: Query,
  { to, type, version, body }: Emitted<Types>,
  types: SignalTypes = signalTypes,
): Promise<string> {
  const schema = types[type]?.versions[version];
  if (!schema) throw new TypeError(`there is no version ${version} of ${type}`);
  const id = uuidv7();
  await query('insert into signals_out (id, recipient, type, version, body) values ($1, $2, $3, $4, $5)', [
    id,
    to,
    type,
    version,
    JSON.stringify(schema.parse(body)),
  ]);
  return id;
}
