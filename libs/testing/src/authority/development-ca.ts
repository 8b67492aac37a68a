import { join } from 'node:path';
import { testRun } from '../run/test-run.ts';
import { openAuthority, type Authority } from './authority.ts';

/**
 * The authority of every workload of the development world. Without a folder it is that of this test run.
 */
export function developmentCa(directory = testRun().directory): Authority {
  return openAuthority({ directory: join(directory, 'ca'), name: 'Postern development CA' });
}

/** The authority of the bus Redis and its clients (R21): a certificate of the other one opens nothing there. */
export function busCa(directory = testRun().directory): Authority {
  return openAuthority({ directory: join(directory, 'bus-ca'), name: 'Postern development bus CA' });
}
