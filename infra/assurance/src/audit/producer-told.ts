import { type TlsPaths } from '@postern/mtls';

/** What the case tells this process, in one variable. */
export type ProducerTold = {
  part: 'callers' | 'relay';
  postgresUrl: string;
  sinkUrl: string;
  paths: TlsPaths;
  bus: { url: string; password: string; paths: TlsPaths };
};

/** The line of an event that is about to be committed. An acknowledged one has its id for a line. */
export const TRIED = '>';
