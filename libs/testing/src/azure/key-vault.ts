import { randomBytes } from 'node:crypto';

/** Rules of Key Vault's secrets; each names its page, under https://learn.microsoft.com/rest/api/keyvault/secrets. */
export type VaultVersion = {
  version: string;
  value: string;
  contentType?: string | undefined;
  enabled: boolean;
  tags: Record<string, string>;
  created: number;
};

/** "error": { "code", "message", "innererror" } (../general/rest-error-codes). */
export class VaultRefusal extends Error {
  readonly status: number;
  readonly code: string;
  readonly inner: string | undefined;
  constructor(status: number, code: string, message: string, inner?: string) {
    super(message);
    this.status = status;
    this.code = code;
    this.inner = inner;
  }
}

type Given = {
  value?: string;
  contentType?: string;
  tags?: Record<string, string>;
  attributes?: { enabled?: boolean };
};

/** "The maximum size of a secret is 25k bytes" (/azure/key-vault/secrets/about-secrets). */
const MOST_BYTES = 25_600;
/** `secret-name`: ^[0-9a-zA-Z-]+$, 127 characters; names are case-insensitive (/azure/key-vault/general/about-keys-secrets-certificates). */
const NAME = /^[0-9a-zA-Z-]{1,127}$/;
/** "up to 15 tags" (/azure/key-vault/secrets/about-secrets). */
const MOST_TAGS = 15;

export function createVault(now: () => Date = () => new Date()) {
  const secrets = new Map<string, VaultVersion[]>();
  const deleted = new Map<string, { versions: VaultVersion[]; at: number }>();
  /** What was answered and has not ended: until then the object is neither there nor deleted. */
  const underWay = new Map<string, { inner: 'ObjectIsBeingDeleted' | 'ObjectIsBeingRecovered'; end: () => void }>();
  let isSlow = false;
  /** Seconds, as attributes have them: two versions may have the same. */
  const seconds = () => Math.floor(now().getTime() / 1000);
  const keyOf = (name: string) => name.toLowerCase();

  function versionsOf(name: string): VaultVersion[] {
    const found = secrets.get(keyOf(name));
    if (!found)
      throw new VaultRefusal(404, 'SecretNotFound', `A secret with (name/id) ${name} was not found in this key vault.`);
    return found;
  }
  function versionOf(name: string, version: string): VaultVersion {
    const versions = versionsOf(name);
    const found = version === '' ? versions.at(-1) : versions.find((one) => one.version === version);
    if (!found)
      throw new VaultRefusal(
        404,
        'SecretNotFound',
        `A secret with (name/id) ${name}/${version} was not found in this key vault.`,
      );
    return found;
  }
  /** Whatever changes the object meanwhile is a conflict ("Secret is currently being deleted."). */
  function checkEnded(name: string) {
    const inner = underWay.get(keyOf(name))?.inner;
    if (inner === undefined) return;
    const what = inner === 'ObjectIsBeingDeleted' ? 'deleted' : 'recovered';
    throw new VaultRefusal(409, 'Conflict', `Secret is currently being ${what}.`, inner);
  }
  function later(name: string, inner: 'ObjectIsBeingDeleted' | 'ObjectIsBeingRecovered', end: () => void) {
    if (!isSlow) return end();
    underWay.set(keyOf(name), {
      inner,
      end: () => {
        underWay.delete(keyOf(name));
        end();
      },
    });
  }
  function checkTags(tags: Record<string, string> = {}) {
    if (Object.keys(tags).length > MOST_TAGS) throw new VaultRefusal(400, 'BadParameter', 'Too many tags.');
  }

  return {
    /** set-secret: "If the named secret already exists, Azure Key Vault creates a new version". A deleted name is a conflict
     * until it is recovered or purged (/azure/key-vault/general/soft-delete-overview). */
    set(name: string, { value = '', contentType, tags, attributes }: Given): VaultVersion {
      if (!NAME.test(name)) throw new VaultRefusal(400, 'BadParameter', 'The secret name is invalid.');
      if (Buffer.byteLength(value) > MOST_BYTES)
        throw new VaultRefusal(
          400,
          'BadParameter',
          'The secret value exceeds the maximum size of 25k bytes: too large.',
        );
      checkTags(tags);
      checkEnded(name);
      if (deleted.has(keyOf(name)))
        throw new VaultRefusal(
          409,
          'Conflict',
          `Secret ${name} is currently in a deleted but recoverable state.`,
          'ObjectIsDeletedButRecoverable',
        );
      const made: VaultVersion = {
        version: randomBytes(16).toString('hex'),
        value,
        contentType,
        enabled: attributes?.enabled ?? true,
        tags: tags ?? {},
        created: seconds(),
      };
      secrets.set(keyOf(name), [...(secrets.get(keyOf(name)) ?? []), made]);
      return made;
    },
    /** get-secret: a disabled one is not readable ("Operation get is not allowed on a disabled secret."). */
    get(name: string, version: string): VaultVersion {
      const found = versionOf(name, version);
      if (!found.enabled)
        throw new VaultRefusal(
          403,
          'Forbidden',
          'Operation get is not allowed on a disabled secret.',
          'SecretDisabled',
        );
      return found;
    },
    /** update-secret: "Attributes that are not specified in the request are left unchanged. The value ... cannot be changed." */
    update(name: string, version: string, { attributes, tags, contentType }: Given): VaultVersion {
      const found = versionOf(name, version);
      checkTags(tags);
      if (attributes?.enabled !== undefined) found.enabled = attributes.enabled;
      if (tags !== undefined) found.tags = tags;
      if (contentType !== undefined) found.contentType = contentType;
      return found;
    },
    /** get-secret-versions: no order is promised. */
    versions: (name: string) => (secrets.get(keyOf(name)) ?? []).toSorted((a, b) => (a.version < b.version ? -1 : 1)),
    names: () => [...secrets.keys()].sort(),
    newest: (name: string) => versionOf(name, ''),
    /** delete-secret: all versions, recoverable where soft delete is on, as it is for every vault; answered before it has ended. */
    remove(name: string) {
      const entry = { versions: versionsOf(name), at: seconds() };
      secrets.delete(keyOf(name));
      later(name, 'ObjectIsBeingDeleted', () => deleted.set(keyOf(name), entry));
      return entry;
    },
    deleted(name: string) {
      const found = deleted.get(keyOf(name));
      if (!found) throw new VaultRefusal(404, 'SecretNotFound', `Deleted Secret not found: ${name}`);
      return found;
    },
    recover(name: string): VaultVersion {
      checkEnded(name);
      const { versions } = this.deleted(name);
      deleted.delete(keyOf(name));
      later(name, 'ObjectIsBeingRecovered', () => secrets.set(keyOf(name), versions));
      return versions.at(-1) as VaultVersion;
    },
    /** purge-deleted-secret: for good; answered before it has ended, too. */
    purge(name: string) {
      checkEnded(name);
      this.deleted(name);
      deleted.delete(keyOf(name));
      later(name, 'ObjectIsBeingDeleted', () => {});
    },
    /** While slow, deletions, recoveries and purges do not end; what is under way does where that is over. */
    slow(now: boolean) {
      isSlow = now;
      if (!now) for (const { end } of [...underWay.values()]) end();
    },
  };
}

export type Vault = ReturnType<typeof createVault>;
