import { problem } from '@postern/runtime';
import { limits } from '../providers/capabilities.ts';
import { type ProviderKind } from '../providers/provider-kind.ts';
import { lengthOf, type SecretValue } from './secret-value.ts';

/** What a provider would refuse is refused before the call, with its limit. @throws Problem `value_too_large` */
export function assertFits(kind: ProviderKind, value: SecretValue): void {
  const most = value.type === 'text' ? limits[kind].valueBytes : limits[kind].binaryBytes;
  const length = lengthOf(value);
  if (length > most) throw problem('value_too_large', { detail: `${kind} takes ${most} bytes, this is ${length}` });
}

/** @throws Problem `too_many_tags` */
export function assertTagsFit(kind: ProviderKind, tags: Readonly<Record<string, string>>): void {
  const most = limits[kind].tags;
  if (Object.keys(tags).length > most) throw problem('too_many_tags', { detail: `${kind} takes ${most} tags` });
}
