import { type Query } from './table.ts';

/** A change of a branch key, as the log takes it. */
export type KeyChange =
  | { action: 'key.rotated'; tenant: string; details: { purpose: string; keyId: string } }
  | { action: 'key.moved'; tenant: string; details: { purpose: string; keyId: string; from: string; to: string } }
  | {
      action: 'key.destroyed';
      tenant: string;
      details: { purpose: string; keyId: string; versions: string[]; whole: boolean };
    };

export type RecordKeyChange = (change: KeyChange) => Promise<void>;

/** Runs work in one transaction, in which what it records stands or falls with what it changes. */
export type RecordedTransaction = <T>(work: (query: Query, record: RecordKeyChange) => Promise<T>) => Promise<T>;
