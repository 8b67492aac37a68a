import { fine, problem, warning, type Finding } from './finding.ts';
import { type ServiceView } from './look-at-service.ts';

/** What each part of the readiness is, and where to look when it fails. */
const parts: Record<string, string> = {
  postgres: 'look at the database: is it up, does pg_hba let this certificate in, are its connections used up?',
  bus: 'look at the bus Redis: is it up, its certificate good, its memory full? Until then events wait in Postgres',
  cache: 'look at the cache Redis: until then Postgres answers, slower',
  keys: 'look at the KMS key and the role that reaches it (enabled, trust condition, token); the log names the call that failed',
  provider: 'look at the identity provider: does its discovery document answer from here?',
  audit: 'look at the table audit_outbox and its disk: nothing is released until events can be committed',
  replication: 'look at the standbys: a commit must stand on a quorum of them (R22)',
  revocations:
    'look at token-exchange, auth-manager and key-proxy: their signed heads are too old to trust tokens by (R14)',
};

/** Seconds by which clocks may differ before tokens and proofs are refused. */
const SKEW_SECONDS = 30;

export function judgeService({ name, health, version, clockSkewSeconds }: ServiceView): Finding[] {
  const findings = Object.entries(health.checks).map(([part, state]) => {
    if (state === 'ok') return fine(name, part, 'answers');
    const meanwhile = health.without?.[part];
    const says = meanwhile === undefined ? 'fails' : `fails; meanwhile: ${meanwhile}`;
    const todo = parts[part] ?? "look at the service's log";
    return health.status === 'ok' ? warning(name, part, says, todo) : problem(name, part, says, todo);
  });
  if (Math.abs(clockSkewSeconds) > SKEW_SECONDS) {
    findings.push(
      problem(
        name,
        'clock',
        `${clockSkewSeconds} s off this machine's`,
        'set both by NTP: tokens, proofs and assertions are refused',
      ),
    );
  } else findings.push(fine(name, 'clock', `within ${SKEW_SECONDS} s of this machine's`));
  if (version.profile === 'fedramp-high' && !version.fips) {
    findings.push(problem(name, 'fips', 'off in fedramp-high', 'start it with a FIPS provider and POSTERN_FIPS=true'));
  }
  if (version.environment !== undefined && version.environment !== 'production') {
    findings.push(
      warning(
        name,
        'environment',
        `runs as ${version.environment}`,
        'POSTERN_ENVIRONMENT=production, unless this is a development stack (R6)',
      ),
    );
  }
  return findings;
}

/** What must be alike in all of them, but for the minutes of an upgrade. */
export function judgeTogether(views: readonly ServiceView[]): Finding[] {
  const alike = (about: 'version' | 'profile', todo: string): Finding => {
    const values = new Map<string, string[]>();
    for (const { name, version } of views) values.set(version[about], [...(values.get(version[about]) ?? []), name]);
    if (values.size <= 1) return fine('all', about, [...values.keys()][0] ?? 'none');
    const says = [...values].map(([value, names]) => `${value}: ${names.join(', ')}`).join('; ');
    return warning('all', about, says, todo);
  };
  return [
    alike('version', 'finish the upgrade: releases N and N-1 run together, others do not'),
    alike('profile', 'give all of them the same POSTERN_PROFILE'),
  ];
}
