import { writeFileSync } from 'node:fs';
import { readmeWithValues } from './values-table.ts';
import { place } from './place.ts';
import { settingNames } from './setting-names.ts';
import { valuesJsonSchema } from './values.ts';

// `node infra/helm/src/write.ts`: what is made from the values' schema and the services' settings. A test holds both in step.
writeFileSync(place('postern/values.schema.json'), `${JSON.stringify(valuesJsonSchema(), null, 2)}\n`);
writeFileSync(place('postern/settings.json'), `${JSON.stringify(await settingNames(), null, 2)}\n`);
writeFileSync(place('README.md'), readmeWithValues());
