import { type Now, type Registry } from '@postern/runtime';
import { type ProviderKind } from '../provider-kind.ts';
import { type SecretProvider } from '../secret-provider.ts';
import { type Budget, budgetMetrics, createBudget } from './budget.ts';
import { type CallClass } from './quotas.ts';

/** More configurations than are ever open at once (`provider-pool.ts`); the one used longest ago begins anew. */
const MOST_BUDGETS = 1_000;

/** A budget for each configuration: accounts of different tenants have quotas of their own. */
export type Budgets = { of(kind: ProviderKind, configuration: string): Budget };

export function createBudgets({ registry, now }: { registry: Registry; now: Now }): Budgets {
  const metrics = budgetMetrics(registry);
  const budgets = new Map<string, Budget>();
  return {
    of(kind, configuration) {
      const known = budgets.get(configuration) ?? createBudget(kind, metrics, now);
      budgets.delete(configuration);
      budgets.set(configuration, known);
      const [eldest] = budgets.keys();
      if (budgets.size > MOST_BUDGETS && eldest !== undefined) budgets.delete(eldest);
      return known;
    },
  };
}

/** The same provider, each call counted against its budget. */
export function withinBudget(provider: SecretProvider, budget: Budget): SecretProvider {
  const spending =
    <A extends unknown[], T>(of: CallClass, call: (...given: A) => Promise<T>) =>
    (...given: A) =>
      budget.spend(of, () => call(...given));
  const { readMany } = provider;
  return {
    kind: provider.kind,
    create: spending('write', provider.create.bind(provider)),
    put: spending('write', provider.put.bind(provider)),
    read: spending('read', provider.read.bind(provider)),
    ...(readMany ? { readMany: spending('read', readMany.bind(provider)) } : {}),
    list: spending('write', provider.list.bind(provider)),
    describe: spending('read', provider.describe.bind(provider)),
    tag: spending('write', provider.tag.bind(provider)),
    disable: spending('write', provider.disable.bind(provider)),
    enable: spending('write', provider.enable.bind(provider)),
    delete: spending('write', provider.delete.bind(provider)),
    recover: spending('write', provider.recover.bind(provider)),
    destroy: spending('write', provider.destroy.bind(provider)),
    check: spending('read', provider.check.bind(provider)),
    close: () => provider.close(),
  };
}
