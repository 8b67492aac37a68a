// The `build` target: `node infra/build/bundle.ts apps/crypto-store` writes dist/apps/crypto-store.
import { bundlePackage, publishedPackages } from './src/bundle/bundle-package.ts';
import { bundleService } from './src/bundle/bundle-service.ts';

const [project] = process.argv.slice(2);
if (!project) {
  console.error('usage: node infra/build/bundle.ts apps/<service> | libs/client | infra/cli');
  process.exit(64);
}

const outdir = `dist/${project}`;
const { files } =
  project in publishedPackages ? await bundlePackage(project, outdir) : await bundleService(project, outdir);
console.log(`${outdir}: ${files.join(', ')}`);
