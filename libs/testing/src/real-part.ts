/** A real part that a suite needs: there, or missing with the reason. */
export type RealPart<T> = { name: string; part: T } | { name: string; missing: string };

type TestGlobals = {
  describe(name: string, suite: () => void): void;
  test: { (name: string, run: () => void): void; skip(name: string, run: () => void): void };
};

/**
 * Gets a part that cannot be had everywhere (Keycloak, an emulator). Used with `describeWith`:
 *
 *     const keycloak = await realPart('Keycloak 26', startKeycloak);
 *     describeWith(keycloak, 'the realm compiler', (keycloak) => { ... });
 */
export async function realPart<T>(name: string, get: () => Promise<T>): Promise<RealPart<T>> {
  try {
    return { name, part: await get() };
  } catch (error) {
    return { name, missing: firstLine(error) };
  }
}

/**
 * A suite on a real part. Without the part it is one skipped test that names the part and the reason, and under
 * `CI=true`, where everything must be had, one that fails.
 */
export function describeWith<T>(real: RealPart<T>, title: string, suite: (part: T) => void): void {
  const { describe, test } = globalThis as unknown as TestGlobals;
  if ('part' in real) {
    describe(title, () => suite(real.part));
    return;
  }
  const named = `${title}: ${real.name} cannot be had: ${real.missing}`;
  if (process.env['CI'] !== 'true') test.skip(named, () => {});
  else {
    test(named, () => {
      throw new Error(named);
    });
  }
}

const firstLine = (error: unknown): string =>
  String(error instanceof Error ? error.message : error).split('\n')[0] ?? '';
