import { isKeptHere } from '../providers/capabilities.ts';
import { type Providers } from '../providers/open-providers.ts';
import { type OnBehalf } from '../providers/secret-provider.ts';
import { type HeldSecret } from './held-secret.ts';

/** Writes the tags at the provider too, where it has some. Doing so again is harmless. @throws Problem of the provider port */
export async function setTags(
  providers: Providers,
  { place, reference }: HeldSecret,
  tags: Readonly<Record<string, string>>,
  by: OnBehalf,
): Promise<void> {
  if (isKeptHere(place.kind, 'tag')) return;
  const provider = await providers.at(place);
  await provider.tag(reference, tags, providers.call(by));
}
