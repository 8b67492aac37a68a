import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type FrontFault, type FrontRequest } from '@postern/testing/https-front';
import { capabilities, isKeptHere, limits } from '../../src/providers/capabilities.ts';
import { type ProviderKind, providerKinds } from '../../src/providers/provider-kind.ts';
import { referenceOf, referencePrefix } from '../../src/providers/reference.ts';
import { type Call, type OnBehalf, type SecretProvider } from '../../src/providers/secret-provider.ts';
import { bytesOf, textValue, valueOf } from '../../src/secrets/secret-value.ts';
import { faultyAnswers } from './faulty-answers.ts';
import { readmeHasMatrix } from './matrix.ts';
import { openStoreSubject } from './store-subject.ts';
import { openSubject, type Subject, TIMEOUT_MS } from './subjects.ts';

/** Above what is taken here (`limits`), what the part itself refuses; OpenBao takes a request of up to 32 MiB. */
const refusedBytes: Partial<Record<ProviderKind, number>> = { openbao: Infinity, 'crypto-store': 1_048_577 };

test('the README has the matrix that this suite holds (POSTERN_WRITE_MATRIX=1 writes it)', () => {
  expect(readmeHasMatrix()).toBe(true);
});

/** What is said to all callers alike, however the provider says it. */
describe.each(providerKinds)('the contract, at %s', (kind) => {
  let subject: Subject;
  let provider: SecretProvider;
  const call = (ms = 20_000, by: OnBehalf | null = subject.by): Call => ({ by, signal: AbortSignal.timeout(ms) });
  const at = (name = 'a name') => referenceOf(kind, { id: randomUUID(), name });
  const create = (reference: string, text = 'one', tags = {}) =>
    provider.create(reference, textValue(text), { attempt: randomUUID(), tags }, call());
  const put = (reference: string, text: string, ifVersion?: string) =>
    provider.put(
      reference,
      textValue(text),
      { attempt: randomUUID(), ...(ifVersion === undefined ? {} : { ifVersion }) },
      call(),
    );
  const textAt = async (reference: string, version: string | null = null) =>
    (await provider.read(reference, version, call())).value.content.reveal();
  const fails = (code: string) => expect.objectContaining({ name: 'Problem', code });
  const native = (operation: 'disable' | 'tag') => !isKeptHere(kind, operation);
  /** While each server on the way misbehaves in turn. */
  const whileFaulty = async (fault: FrontFault, then: () => Promise<void>) => {
    for (const way of subject.ways) {
      way.fault(fault);
      try {
        await then();
      } finally {
        way.fault(null);
      }
    }
  };

  beforeAll(async () => {
    subject = await (kind === 'crypto-store' ? openStoreSubject() : openSubject(kind));
    provider = subject.provider;
  }, 120_000);
  afterAll(() => subject?.close());

  test('what is created is read back, with its version', async () => {
    const reference = at();
    const { version } = await create(reference, 'value');
    expect(await provider.read(reference, null, call())).toMatchObject({ version, value: { type: 'text' } });
    expect(await textAt(reference)).toBe('value');
  });

  test('unicode and bytes come back as they were', async () => {
    const [text, binary] = [at('ключ 🔑/ä'), at()];
    await create(text, 'пароль 🔑 \u0000\n"\\');
    expect(await textAt(text)).toBe('пароль 🔑 \u0000\n"\\');
    const bytes = Buffer.from([0, 255, 254, 128, 10, 0]);
    await provider.create(binary, valueOf('binary', bytes), { attempt: randomUUID(), tags: {} }, call());
    expect(bytesOf((await provider.read(binary, null, call())).value)).toEqual(bytes);
  });

  test('each write is a version; every one is read by its own', async () => {
    const reference = at();
    const one = await create(reference, 'one');
    const two = await put(reference, 'two');
    expect(two.version).not.toBe(one.version);
    expect([
      await textAt(reference),
      await textAt(reference, one.version),
      await textAt(reference, two.version),
    ]).toEqual(['two', 'one', 'two']);
    const described = await provider.describe(reference, call());
    expect(described).toMatchObject({ state: 'live', current: two.version });
    expect(described.versions.map(({ version }) => version).sort()).toEqual([one.version, two.version].sort());
  });

  test('compare-and-set: over the version that is current, never over another', async () => {
    const reference = at();
    const one = await create(reference, 'one');
    const two = await put(reference, 'two', one.version);
    await expect(put(reference, 'three', one.version)).rejects.toEqual(fails('version_conflict'));
    expect(await textAt(reference)).toBe('two');
    expect((await put(reference, 'four', two.version)).version).toBeTruthy();
    expect(await textAt(reference)).toBe('four');
  });

  test('nothing under the reference, no such version, something else under the reference', async () => {
    const reference = at();
    await expect(textAt(reference)).rejects.toEqual(fails('secret_missing'));
    await expect(provider.describe(reference, call())).rejects.toEqual(fails('secret_missing'));
    const { version } = await create(reference);
    const absent = kind === 'aws' ? randomUUID() : kind === 'azure' ? version.replace(/^.{8}/, '00000000') : '77';
    await expect(textAt(reference, absent)).rejects.toEqual(fails('version_missing'));
    await expect(create(reference, 'other')).rejects.toEqual(fails('reference_taken'));
    expect(await textAt(reference)).toBe('one');
  });

  test('references are listed in pages, ours alone', async () => {
    const references = [at('l1'), at('l2'), at('l3')].sort();
    for (const reference of references) await create(reference);
    const found: string[] = [];
    const prefix = referencePrefix(kind);
    for (let after: string | null = null, pages = 0; pages < 40; pages += 1) {
      const page = await provider.list({ prefix, after, limit: 3 }, call());
      found.push(...page.references);
      after = page.next;
      if (after === null) break;
    }
    expect(found).toEqual(expect.arrayContaining(references));
    expect(new Set(found).size).toBe(found.length);
  });

  test('tags are set at creation and replaced', async () => {
    const reference = at();
    if (!native('tag')) {
      await expect(provider.tag(reference, {}, call())).rejects.toEqual(fails('provider_unsupported'));
      return;
    }
    await create(reference, 'v', { team: 'mail', gone: 'yes' });
    expect((await provider.describe(reference, call())).tags).toEqual({ team: 'mail', gone: 'yes' });
    await provider.tag(reference, { team: 'web' }, call());
    expect((await provider.describe(reference, call())).tags).toEqual({ team: 'web' });
    expect(await textAt(reference)).toBe('v');
  });

  test('a disabled version is not read until it is enabled; who cannot disable says so', async () => {
    const reference = at();
    const { version } = await create(reference);
    if (!native('disable')) {
      await expect(provider.disable(reference, version, call())).rejects.toEqual(fails('provider_unsupported'));
      return;
    }
    await provider.disable(reference, version, call());
    await expect(textAt(reference)).rejects.toEqual(fails('secret_disabled'));
    expect((await provider.describe(reference, call())).versions).toEqual([{ version, state: 'disabled' }]);
    await provider.enable(reference, version, call());
    expect(await textAt(reference)).toBe('one');
  });

  test('what is deleted is not read, and recovered as it was', async () => {
    const reference = at();
    const { version } = await create(reference, 'kept');
    await provider.delete(reference, call());
    await expect(textAt(reference)).rejects.toEqual(
      expect.objectContaining({ code: expect.stringMatching(/^secret_(missing|disabled)$/) }),
    );
    expect((await provider.describe(reference, call())).state).toBe('deleted');
    await provider.recover(reference, call());
    expect((await provider.describe(reference, call())).state).toBe('live');
    expect([await textAt(reference), await textAt(reference, version)]).toEqual(['kept', 'kept']);
  });

  test('what is destroyed is gone, deleted before or not; nothing there is fine', async () => {
    for (const before of [false, true]) {
      const reference = at();
      await create(reference);
      if (before) await provider.delete(reference, call());
      await provider.destroy(reference, call());
      await expect(provider.describe(reference, call())).rejects.toEqual(fails('secret_missing'));
      await provider.destroy(reference, call());
    }
  });

  test('many at once, what is missing by itself', async () => {
    if (!provider.readMany) return expect(capabilities[kind].batch_read).toBe('emulated');
    const references = Array.from({ length: 23 }, (_, n) => at(`many ${n}`));
    for (const reference of references) await create(reference, reference);
    const absent = at();
    const found = await provider.readMany([...references, absent], call());
    expect([...found.keys()].sort()).toEqual([...references, absent].sort());
    for (const reference of references) expect(found.get(reference)).toMatchObject({ value: { type: 'text' } });
    expect(found.get(absent)).toEqual(fails('secret_missing'));
  }, 30_000);

  test('the longest value is taken, one byte more is refused', async () => {
    const most = limits[kind].valueBytes;
    const reference = at();
    await create(reference, 'x'.repeat(most));
    expect(await textAt(reference)).toHaveLength(most);
    const tooMany = refusedBytes[kind] ?? most + 1;
    if (tooMany < Infinity) await expect(put(reference, 'x'.repeat(tooMany))).rejects.toEqual(fails('value_too_large'));
  });

  test('the same attempt again leaves the same state', async () => {
    if (capabilities[kind].repeat_safely !== 'native') return;
    const [reference, attempt] = [at(), randomUUID()];
    const write = () => provider.create(reference, textValue('v'), { attempt, tags: {} }, call());
    const { version } = await write();
    if (kind === 'openbao') await expect(write()).rejects.toEqual(fails('reference_taken'));
    else await write().catch((error: unknown) => expect(error).toEqual(fails('reference_taken')));
    expect((await provider.describe(reference, call())).versions).toHaveLength(1);
    expect((await provider.read(reference, null, call())).version).toBe(version);
  });

  // Two calls there, and a policy may allow one of them alone; elsewhere they are one.
  if (kind === 'openbao')
    test('tags that are refused leave no value behind', async () => {
      const reference = at();
      const isTagging = ({ method, url }: FrontRequest) => method === 'POST' && url.pathname.includes('/metadata/');
      for (const way of subject.ways) way.fault({ answer: { status: 403, body: '{}' } }, { only: isTagging });
      try {
        await expect(create(reference, 'v', { team: 'mail' })).rejects.toEqual(fails('provider_forbidden'));
      } finally {
        for (const way of subject.ways) way.fault(null);
      }
      await expect(textAt(reference)).rejects.toEqual(fails('secret_missing'));
    });

  test('credentials that it does not take: one error, from the check and from a call alike', async () => {
    for (const { provider: other, by, code } of await subject.withBadCredentials()) {
      const refused = fails(code);
      await expect(other.check(call(20_000, by))).rejects.toEqual(refused);
      await expect(other.read(at(), null, call(20_000, by))).rejects.toEqual(refused);
    }
    await provider.check(call());
  });

  test.each(faultyAnswers)('an answer that is %s', async (_name, answer, code) => {
    const reference = at();
    await create(reference, 'kept');
    await whileFaulty({ answer }, () => expect(textAt(reference)).rejects.toEqual(fails(code)));
    expect(await textAt(reference)).toBe('kept');
  });

  test('a connection that is cut', async () => {
    const reference = at();
    await create(reference, 'kept');
    await whileFaulty({ cut: 'before' }, () =>
      expect(textAt(reference)).rejects.toEqual(fails('provider_unreachable')),
    );
    expect(await textAt(reference)).toBe('kept');
  });

  test('the deadline is kept, whatever is slow', async () => {
    const reference = at();
    await create(reference, 'kept');
    await whileFaulty({ delayMs: 30_000 }, async () => {
      const started = performance.now();
      const late = provider.put(reference, textValue('late'), { attempt: randomUUID() }, call(700));
      await expect(late).rejects.toEqual(fails('provider_unreachable'));
      await expect(provider.read(reference, null, call(700))).rejects.toEqual(fails('provider_unreachable'));
      // Where they do not keep it, each ends after the provider’s own time-out.
      expect(performance.now() - started).toBeLessThan(2 * TIMEOUT_MS - 1_000);
    });
  });
});
