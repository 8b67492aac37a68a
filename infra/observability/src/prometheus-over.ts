import { readFileSync } from 'node:fs';
import { parse, stringify } from 'yaml';
import { place, ruleFiles } from './files.ts';

type Config = {
  global: Record<string, string>;
  rule_files: string[];
  scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
};

/**
 * Prometheus' configuration, as compose gives it, for services elsewhere: the same jobs and rules, other addresses, a scrape a second.
 * @param targets service -> `host:port` of its management listener
 */
export function prometheusOver(targets: Readonly<Record<string, string>>): string {
  const config = parse(readFileSync(place('prometheus/prometheus.yml'), 'utf8')) as Config;
  return stringify({
    ...config,
    global: { ...config.global, scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ruleFiles().map(place),
    scrape_configs: config.scrape_configs.map((job) => {
      const target = targets[job.job_name.replace(/^postern-/, '')];
      if (target === undefined) throw new Error(`${job.job_name} has no address`);
      return { ...job, static_configs: [{ targets: [target] }] };
    }),
  });
}
