// The process of the leash spec: starts a Redis, says where it is, and waits to be killed.
import { developmentCa, startRedis } from '../src/index.ts';

const folder = process.argv[2]!;
const authority = developmentCa(folder);
const { port, admin } = await startRedis({
  kind: 'cache',
  folder,
  authority,
  users: [],
  adminPassword: 'for-this-spec-only',
});
process.stdout.write(JSON.stringify({ port, admin }));
