// A new step at the end of a service's set: `npm run migration -- auth-manager administration provider-labels`.
import { join } from 'node:path';
import { addMigration, MigrationRefused } from './src/new-migration.ts';

const [app, set, name] = process.argv.slice(2);
if (app === undefined || set === undefined || name === undefined) {
  console.error('usage: npm run migration -- <service> <set> <name-of-the-step>');
  process.exit(64);
}
try {
  const made = addMigration(join('apps', app, 'src/db/migrations'), set, name);
  console.log(`${made.file}: write the SQL.`);
  console.log(`${made.setFile} lists ${made.step}; add it to the service's migration-sets.spec.ts.`);
} catch (error) {
  if (!(error instanceof MigrationRefused)) throw error;
  console.error(error.message);
  process.exit(1);
}
