import { openWorld, type Caller } from './crypto-store.ts';

export const base64 = (text: string) => Buffer.from(text).toString('base64');
/** The context of most messages here. */
export const record = { record: 'r-1' };
export const scopes = ['transit:encrypt', 'transit:decrypt', 'transit:rewrap'];
export const refused = { status: 422, body: { code: 'ciphertext_refused' } };
export const messageIdOf = (ciphertext: string) =>
  Buffer.from(ciphertext, 'base64').subarray(3, 35).toString('base64url');

/** One replica, two workloads, and what tests of encryption ask of them again and again. */
export async function openTransit() {
  const world = await openWorld();
  const replica = await world.replica();
  const [job, portal] = await Promise.all([world.caller('job'), world.caller('portal')]);

  /** One call with all transit scopes, or others, of a tenant. */
  async function post(
    path: string,
    body: unknown,
    { caller = job, tenant = 'acme', held = scopes }: { caller?: Caller; tenant?: string; held?: string[] } = {},
  ) {
    const token = await caller.token({ scopes: held, tenant });
    return caller.send(`${replica.url}${path}`, { method: 'POST', body, token });
  }

  async function events(action: string) {
    const { rows } = await world.postgres.asAdmin(
      (client) => client.query('select canonical from audit_outbox order by id'),
      world.database.name,
    );
    type Event = { action: string; outcome: string; reason?: string; details: Record<string, unknown> };
    return rows
      .map(({ canonical }: { canonical: Buffer }) => JSON.parse(canonical.toString()) as Event)
      .filter((event: Event) => event.action === action);
  }

  return { world, replica, job, portal, post, events };
}

export type TransitWorld = Awaited<ReturnType<typeof openTransit>>;
