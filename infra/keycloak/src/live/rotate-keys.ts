import { type KeycloakAdmin } from './admin.ts';

const KEY_PROVIDER = 'org.keycloak.keys.KeyProvider';
/** What signs tokens: the realm's asymmetric, generated keys. Those for cookies and refresh tokens stay. */
const signing = /^(ecdsa|rsa|eddsa)-generated$/;
/** When the keys that sign now began to, as an ISO time. Keycloak does not say how old a key is. */
const SINCE = 'postern-keys-since';
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

type Component = {
  id: string;
  name: string;
  providerId: string;
  providerType: string;
  parentId: string;
  config: Config;
};
type Config = Record<string, string[]>;

export type KeyRotation = {
  /** Keys that sign for longer are replaced. */
  olderThanDays: number;
  /** R13: how long a key is published before it signs: the longest time that a verifier keeps a key set. */
  publishHours: number;
  /** How long the old key is published after: the longest life of what it signed. */
  keepHours: number;
  now(): Date;
};

export type KeyStep = { key: string; done: 'published' | 'signs' | 'removed' };

/** `KEY-next-MILLISECONDS`: published since; `KEY-until-MILLISECONDS`: verifies until. */
const own = /-(next|until)-\d+$/;
const timeIn = (name: string): number => Number(/-(\d+)$/.exec(name)?.[1]);

/**
 * Takes each signing key of a realm one step on its way, as its age asks for; a timer runs it daily. A successor is published
 * first, takes the name and the place of the key before when verifiers know it, and the key before is kept to verify until
 * nothing that it signed is alive. Between any two steps the realm signs and every token is verified; a run that was cut is
 * gone on with by the next one. What the document says of its keys stays so: `apply` has nothing to do.
 */
export async function rotateKeys(admin: KeycloakAdmin, realm: string, rotation: KeyRotation): Promise<KeyStep[]> {
  const at = `/${encodeURIComponent(realm)}`;
  const now = rotation.now().getTime();
  const { attributes = {} } = await admin.get<{ attributes?: Record<string, string> }>(at);
  const note = (time: number) =>
    admin.put(at, { attributes: { ...attributes, [SINCE]: new Date(time).toISOString() } });
  const all = await admin.get<Component[]>(`${at}/components?type=${KEY_PROVIDER}`);
  const steps: KeyStep[] = [];
  for (const old of all) {
    if (!/-until-\d+$/.test(old.name) || timeIn(old.name) > now) continue;
    await admin.delete(`${at}/components/${old.id}`);
    steps.push({ key: old.name.replace(own, ''), done: 'removed' });
  }
  const since = Date.parse(attributes[SINCE] ?? '');
  if (Number.isNaN(since)) await note(now);
  const due = rotation.olderThanDays === 0 || now - since >= rotation.olderThanDays * DAY_MS;
  const held = all.filter(({ providerId, name }) => signing.test(providerId) && !steps.some(({ key }) => name === key));
  for (const key of [...new Set(held.map(({ name }) => name.replace(own, '')))].sort()) {
    const current = held.find(({ name }) => name === key);
    const next = held.find(({ name }) => name.startsWith(`${key}-next-`));
    const kept = held.some(({ name }) => name.startsWith(`${key}-until-`));
    if (!next) {
      if (!due || kept || !current) continue;
      await publish(admin, at, current, now);
      steps.push({ key, done: 'published' });
    } else if (now - timeIn(next.name) >= rotation.publishHours * HOUR_MS) {
      await takeOver(admin, at, { key, current, next, until: now + rotation.keepHours * HOUR_MS });
      steps.push({ key, done: 'signs' });
    }
  }
  if (steps.some(({ done }) => done === 'signs')) await note(now);
  return steps;
}

const priorityOf = ({ config }: Component) => Number(config['priority']?.[0] ?? 0);

/** A key of the same kind, below the one that signs: in the key set, and used for nothing. */
async function publish(admin: KeycloakAdmin, at: string, current: Component, now: number): Promise<void> {
  const { providerId, providerType, parentId, config } = current;
  // Only what the document may say of a key: never the masked key itself.
  const said = Object.fromEntries(
    Object.entries(config).filter(([name]) => !/key$|certificate$|secret|^kid$/i.test(name) || name === 'keySize'),
  );
  const component = { name: `${current.name}-next-${now}`, providerId, providerType, parentId };
  const priority = [String(priorityOf(current) - 1)];
  await admin.post(`${at}/components`, { ...component, config: { ...said, priority } });
}

/**
 * The successor signs from the first of these writes on, the old key verifies only from the second, and the third gives the
 * successor the name that the document knows. Cut between two of them, the next run does all three again.
 */
async function takeOver(
  admin: KeycloakAdmin,
  at: string,
  { key, current, next, until }: { key: string; current: Component | undefined; next: Component; until: number },
): Promise<void> {
  const place = current ? priorityOf(current) : priorityOf(next) - 1;
  const put = ({ id, ...component }: Component, change: { name?: string; config: Config }) =>
    admin.put(`${at}/components/${id}`, {
      id,
      ...component,
      ...change,
      config: { ...component.config, ...change.config },
    });
  await put(next, { config: { priority: [String(place + 1)] } });
  if (current)
    await put(current, {
      name: `${key}-until-${until}`,
      config: { active: ['false'], priority: [String(place - 2)] },
    });
  await put(next, { name: key, config: { priority: [String(place)] } });
}
