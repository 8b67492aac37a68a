import { writeFileSync } from 'node:fs';
import { grafanaJson } from './dashboard.ts';
import { dashboards } from './dashboards/index.ts';
import { place } from './files.ts';

// `node infra/observability/src/write-dashboards.ts` after a change; a spec holds the files in step.
for (const [name, dashboard] of Object.entries(dashboards)) {
  writeFileSync(place(`grafana/${name}.json`), `${JSON.stringify(grafanaJson(dashboard), null, 2)}\n`);
}
