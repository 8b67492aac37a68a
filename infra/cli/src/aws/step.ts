import { type IAMClient } from '@aws-sdk/client-iam';
import { type KMSClient } from '@aws-sdk/client-kms';

export type Clients = { iam: IAMClient; kms: KMSClient };

/** What is there, held against what is wanted. `apply` makes the difference go away; a second time it finds none. */
export type Step = {
  what: string;
  /** `keep`: nothing to do. */
  change: 'keep' | 'create' | 'change';
  detail: string;
  apply(): Promise<void>;
};

export const keep = (what: string, detail: string): Step => ({ what, change: 'keep', detail, apply: async () => {} });

/** The answer, or null where AWS says that there is no such thing. */
export async function orNull<T>(answer: Promise<T>): Promise<T | null> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof Error && /^(NoSuchEntity|NotFound)(Exception)?$/.test(error.name)) return null;
    throw error;
  }
}

/** Whether two policy documents say the same, whatever the order of their fields. */
export const samePolicy = (encoded: string | undefined, wanted: object): boolean =>
  encoded !== undefined && ordered(JSON.parse(decodeURIComponent(encoded))) === ordered(wanted);

const ordered = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
