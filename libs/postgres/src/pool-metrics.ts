import type pg from 'pg';
import { Gauge, type Registry } from '@postern/runtime';

/** What a pool tells Prometheus: how much of it is in use, and how many wait for a connection. */
export function poolMetrics(pool: pg.Pool, most: number, registry: Registry): void {
  const registers = [registry];
  new Gauge({
    name: 'postern_postgres_connections',
    help: "Connections of the service's pool.",
    labelNames: ['state'],
    registers,
    collect() {
      this.set({ state: 'busy' }, pool.totalCount - pool.idleCount);
      this.set({ state: 'idle' }, pool.idleCount);
    },
  });
  new Gauge({
    name: 'postern_postgres_connections_most',
    help: "Connections that the service's pool may have.",
    registers,
  }).set(most);
  new Gauge({
    name: 'postern_postgres_waiting',
    help: 'Statements and transactions that wait for a connection.',
    registers,
    collect() {
      this.set(pool.waitingCount);
    },
  });
}
