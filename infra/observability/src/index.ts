export { type Dashboard, type Graph } from './dashboard.ts';
export { dashboards } from './dashboards/index.ts';
export { prometheusOver } from './prometheus-over.ts';
