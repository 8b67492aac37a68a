import { readdirSync, readFileSync } from 'node:fs';
import { type Bundled } from './third-party.ts';

/** The licences of what a bundle holds, which ask to stand beside every copy; with the exact versions, for who must know them. */
export function noticesOf(packages: readonly Bundled[]): string {
  return packages
    .map(({ path, name, version, license }) => {
      const file = readdirSync(path).find((file) => /^(licen[cs]e|copying)(\.|-|$)/i.test(file));
      const text = file === undefined ? '' : `\n${readFileSync(`${path}/${file}`, 'utf8').trim()}\n`;
      return `${name} ${version} (${license})\n${text}`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}
