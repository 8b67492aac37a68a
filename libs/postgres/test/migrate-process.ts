// One process of the migration spec: migrates with what it is given, says which steps ran, and may be killed.
import { readFileSync } from 'node:fs';
import { watchTlsMaterial } from '@postern/mtls';
import { migrate, type MigrationSet } from '../src/index.ts';

type Task = {
  url: string;
  serviceRole: string;
  paths: { cert: string; key: string; ca: string };
  sets: MigrationSet[];
};

const { url, serviceRole, paths, sets } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as Task;
const tls = await watchTlsMaterial(paths);
process.stdout.write(JSON.stringify(await migrate({ url, serviceRole, sets, tls })));
tls.close();
