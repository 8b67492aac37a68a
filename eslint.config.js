import nx from '@nx/eslint-plugin';
import tseslint from 'typescript-eslint';

// Which kind of project may lean on which. `testing` is for specs and for infra only (see the last block).
const layers = {
  contract: ['contract'],
  util: ['util', 'contract'],
  domain: ['domain', 'contract', 'util'],
  adapter: ['adapter', 'domain', 'contract', 'util'],
  http: ['http', 'adapter', 'domain', 'contract', 'util'],
  service: ['service', 'http', 'adapter', 'domain', 'contract', 'util'],
  client: ['domain', 'contract'],
  app: ['service', 'http', 'adapter', 'domain', 'contract', 'util', 'client'],
  testing: ['testing', 'service', 'http', 'adapter', 'domain', 'contract', 'util', 'client'],
  infra: ['infra', 'testing', 'service', 'http', 'adapter', 'domain', 'contract', 'util', 'client'],
};

const boundaries = (also = []) => [
  'error',
  {
    enforceBuildableLibDependency: false,
    banTransitiveDependencies: false,
    allow: [],
    depConstraints: Object.entries(layers).map(([layer, allowed]) => ({
      sourceTag: `type:${layer}`,
      onlyDependOnLibsWithTags: [...allowed, ...also].map((tag) => `type:${tag}`),
      ...(layer === 'domain' || layer === 'contract'
        ? { bannedExternalImports: ['express', 'kysely', 'pg', 'redis', '@redis/client', 'bullmq'] }
        : {}),
    })),
  },
];

export default tseslint.config(
  { ignores: ['**/dist', '**/coverage', '**/node_modules', '.cache', '.postern', '.nx'] },
  ...tseslint.configs.recommended,
  {
    files: ['**/*.ts'],
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': boundaries(),
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      'no-console': 'error',
      eqeqeq: 'error',
    },
  },
  { files: ['infra/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    files: ['**/*.spec.ts', '{apps,libs}/*/test/**/*.ts'],
    rules: { '@nx/enforce-module-boundaries': boundaries(['testing']), 'no-console': 'off' },
  },
  { files: ['**/*.cjs'], rules: { '@typescript-eslint/no-require-imports': 'off' } },
);
