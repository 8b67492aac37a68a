/** What Secret Manager keeps of one project. Each rule names the page it follows, under https://cloud.google.com/secret-manager/docs. */
export type GoogleSecret = {
  name: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  etag: string;
  createTime: string;
  versions: GoogleVersion[];
};
export type GoogleVersion = {
  name: string;
  state: 'ENABLED' | 'DISABLED' | 'DESTROYED';
  createTime: string;
  data: Buffer;
};

/** An error as the REST API tells it: google.rpc.Status ("Errors", https://cloud.google.com/apis/design/errors). */
export class GoogleRefusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** "A secret version can be up to 64 KiB" (quotas#content-limits). */
const MOST_BYTES = 65_536;
/** `secretId`: "a string with a maximum length of 255 characters and can contain uppercase and lowercase letters, numerals,
 * and the hyphen (-) and underscore (_) characters" (reference/rest/v1/projects.secrets/create). */
const SECRET_ID = /^[A-Za-z0-9_-]{1,255}$/;
/** reference/rest/v1/projects.secrets#Secret, `labels`. */
const LABEL = /^[a-z][a-z0-9_-]{0,62}$/;
const LABEL_VALUE = /^[a-z0-9_-]{0,63}$/;

export function createGoogleStore(now: () => Date = () => new Date()) {
  const secrets = new Map<string, GoogleSecret>();
  let etags = 0;
  const etag = () => `"${(etags += 1).toString(16).padStart(8, '0')}"`;

  function secret(name: string): GoogleSecret {
    const found = secrets.get(name);
    if (!found) throw new GoogleRefusal(404, 'NOT_FOUND', `Secret [${name}] not found.`);
    return found;
  }
  /** Versions are found by number or by the alias `latest`, which is the one of the highest number
   * (reference/rest/v1/projects.secrets.versions/access). */
  function version(name: string): GoogleVersion {
    const [at, number = ''] = name.split('/versions/');
    const { versions } = secret(at ?? '');
    const found = number === 'latest' ? versions.at(-1) : versions.find(({ name: one }) => one === name);
    if (!found) throw new GoogleRefusal(404, 'NOT_FOUND', `Secret Version [${name}] not found.`);
    return found;
  }
  const change = (name: string, state: GoogleVersion['state']) => {
    const found = version(name);
    // "Destroyed: ... The secret version cannot be changed to another state" (managing-secret-versions#states).
    if (found.state === 'DESTROYED' && state !== 'DESTROYED')
      throw new GoogleRefusal(400, 'FAILED_PRECONDITION', `Secret Version [${found.name}] is in DESTROYED state.`);
    found.state = state;
    if (state === 'DESTROYED') found.data = Buffer.alloc(0);
    return found;
  };
  const checkLabels = (labels: Record<string, string>) => {
    const good = Object.entries(labels).every(([key, value]) => LABEL.test(key) && LABEL_VALUE.test(value));
    if (!good || Object.keys(labels).length > 64) throw new GoogleRefusal(400, 'INVALID_ARGUMENT', 'Invalid labels.');
  };

  return {
    create(parent: string, id: string, given: { labels?: Record<string, string>; replication?: object }) {
      if (!SECRET_ID.test(id)) throw new GoogleRefusal(400, 'INVALID_ARGUMENT', 'The provided secret ID is invalid.');
      // "Required. Immutable. The replication policy" is no longer required, but one is given always.
      checkLabels(given.labels ?? {});
      const name = `${parent}/secrets/${id}`;
      if (secrets.has(name)) throw new GoogleRefusal(409, 'ALREADY_EXISTS', `Secret [${name}] already exists.`);
      const made: GoogleSecret = {
        name,
        labels: given.labels ?? {},
        annotations: {},
        etag: etag(),
        createTime: now().toISOString(),
        versions: [],
      };
      secrets.set(name, made);
      return made;
    },
    secret,
    /** "Optional. Etag of the currently stored Secret": another one is refused (creating-and-accessing-secrets, "etags"). */
    update(name: string, given: Partial<Pick<GoogleSecret, 'labels' | 'annotations' | 'etag'>>, mask: string[]) {
      const found = secret(name);
      if (given.etag && given.etag !== found.etag)
        throw new GoogleRefusal(400, 'FAILED_PRECONDITION', `The provided etag does not match for Secret [${name}].`);
      if (mask.includes('labels')) {
        checkLabels(given.labels ?? {});
        found.labels = given.labels ?? {};
      }
      if (mask.includes('annotations')) found.annotations = given.annotations ?? {};
      found.etag = etag();
      return found;
    },
    /** "Deletes a Secret" with all versions, for good (reference/rest/v1/projects.secrets/delete). */
    remove(name: string) {
      secret(name);
      secrets.delete(name);
    },
    list(parent: string, prefix: string) {
      const all = [...secrets.values()].filter(({ name }) => name.startsWith(`${parent}/secrets/`));
      return all
        .filter(({ name }) => (name.split('/').at(-1) ?? '').includes(prefix))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    /** Versions are immutable and numbered from 1 without gaps (add-secret-version). */
    addVersion(parent: string, data: Buffer) {
      const { versions } = secret(parent);
      if (data.length > MOST_BYTES)
        throw new GoogleRefusal(400, 'INVALID_ARGUMENT', 'The secret payload exceeds the maximum of 65536 bytes.');
      const made: GoogleVersion = {
        name: `${parent}/versions/${versions.length + 1}`,
        state: 'ENABLED',
        createTime: now().toISOString(),
        data,
      };
      versions.push(made);
      return made;
    },
    version,
    /** "Disabled: the secret version cannot be accessed" (managing-secret-versions#states). */
    access(name: string) {
      const found = version(name);
      if (found.state !== 'ENABLED')
        throw new GoogleRefusal(
          400,
          'FAILED_PRECONDITION',
          `Secret Version [${found.name}] is in ${found.state} state.`,
        );
      return found;
    },
    change,
  };
}

export type GoogleStore = ReturnType<typeof createGoogleStore>;
