import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { bundleService } from '../src/bundle/bundle-service.ts';

type Bundle = { folder: string } & Awaited<ReturnType<typeof bundleService>>;

const made = new Map<string, Promise<Bundle>>();
let place: string | undefined;

/**
 * A service's production tree as its build writes it, made once for all spec files that look at it (they share this
 * module) and gone with their process. The folder is to be read, or copied.
 */
export function bundleOf(service: string): Promise<Bundle> {
  const known = made.get(service);
  if (known) return known;
  const folder = join((place ??= newPlace()), service);
  const bundle = bundleService(`apps/${service}`, folder).then((written) => ({ folder, ...written }));
  made.set(service, bundle);
  return bundle;
}

// Inside the checkout: the files of a bundle find their packages.
function newPlace(): string {
  mkdirSync('.cache', { recursive: true });
  const folder = resolve(mkdtempSync('.cache/bundles-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
