import { type painter } from '../colours.ts';
import { type Finding } from './finding.ts';

/** What a person reads: what is wrong first, with what to do; what is fine in one line a service. */
export function reportOf(findings: readonly Finding[], paint: ReturnType<typeof painter>): string[] {
  const wrong = [...only(findings, 'problem'), ...only(findings, 'warning')];
  const services = [...new Set(findings.map(({ service }) => service))];
  const marks = { problem: paint('red', '✗'), warning: paint('yellow', '!') };
  return [
    ...services.map((service) => {
      const own = findings.filter((finding) => finding.service === service);
      const good = only(own, 'ok').map(({ about }) => about);
      const bad = own.length - good.length;
      const mark = bad === 0 ? paint('green', '✓') : only(own, 'problem').length > 0 ? marks.problem : marks.warning;
      return `${mark} ${service.padEnd(15)} ${[...new Set(good)].join(', ') || 'nothing that is fine'}`;
    }),
    ...wrong.flatMap(({ level, service, about, says, todo }) => [
      '',
      `${level === 'ok' ? '' : marks[level]} ${service}: ${about}: ${says}`,
      ...(todo === undefined ? [] : [`  ${todo}`]),
    ]),
    '',
    `${only(findings, 'ok').length} fine, ${only(findings, 'warning').length} to look at, ${only(findings, 'problem').length} wrong`,
  ];
}

const only = (findings: readonly Finding[], level: Finding['level']): Finding[] =>
  findings.filter((finding) => finding.level === level);
