import { setTimeout as sleep } from 'node:timers/promises';
import type { BranchKeys } from '@postern/branch-keys';
import { openEgress, type EgressRules } from '@postern/egress';
import type { TlsMaterial } from '@postern/mtls';
import { withLease, type Postgres } from '@postern/postgres';
import { closeInReverse } from '@postern/runtime';
import type { ForwardedCopy } from '../erasure/erase-person.ts';
import { forward, type Forward, type Forwarder } from './forward.ts';
import type { ForwardersConfig, TargetConfig } from './forwarders-config.ts';
import type { LogEvent } from './log-event.ts';
import { lokiTarget } from './targets/loki.ts';
import { operatorWebhook } from './targets/operator-webhook.ts';
import { otlpTarget } from './targets/otlp.ts';
import { authorities } from './targets/post.ts';
import type { Target } from './targets/target.ts';
import { actionsOf, notificationTypes, typeOf } from './webhooks/notification-types.ts';
import { runWebhooks } from './webhooks/run-webhooks.ts';

export type StartForwarders = Omit<Forward, 'postgres'> & {
  config: ForwardersConfig;
  /** Connections of their own, so that forwarding never waits for, nor takes, one of the log's. */
  postgres: Postgres<unknown>;
  keys: BranchKeys;
  tls: Pick<TlsMaterial, 'current'>;
};

const FOLLOW_MS = 1_000;
const WEBHOOK_TIMEOUT_MS = 15_000;
const WEBHOOK_ANSWER_BYTES = 16 * 1024;

/** Where tenants' webhooks may go. */
export const webhookRules = ({ webhooks }: ForwardersConfig): EgressRules => ({
  allow: webhooks?.allow ?? [],
  publicAddresses: webhooks?.publicAddresses ?? false,
});

/** Targets that hold what is personal: those whose operator has declared that it can be erased there (R28). */
export const forwardedCopies = ({ targets }: ForwardersConfig): ForwardedCopy[] =>
  targets.flatMap((target) =>
    target.kind !== 'webhook' && target.erasure
      ? [{ name: target.name, withinDays: target.erasure.withinDays, tenants: target.filter.tenants }]
      : [],
  );

/** Runs every forwarder, all from one replica at a time; another takes over within seconds of its end. */
export function startForwarders(deps: StartForwarders): { close(): Promise<void> } {
  const { config, postgres, tls, now, logger } = deps;
  const closing = closeInReverse();
  const forwarders = config.targets.map((target) => {
    const opened = closing.after(openTarget(target, tls, now));
    return { name: target.name, target: opened, wants: wantedBy(target), from: target.from };
  });
  const egress = config.webhooks
    ? closing.after(
        openEgress({
          ...webhookRules(config),
          listedAuthorities: authorities(config.webhooks.caPath, tls),
          timeoutMs: WEBHOOK_TIMEOUT_MS,
          maxBytes: WEBHOOK_ANSWER_BYTES,
        }),
      )
    : null;
  const stop = new AbortController();

  const lead = async (over: () => boolean) => {
    const until = { stop: stop.signal, ended: () => stop.signal.aborted || over() };
    await Promise.all([
      ...forwarders.map((one) => keepForwarding(deps, one, until)),
      ...(egress ? [runWebhooks({ ...deps, egress }, until)] : []),
    ]);
  };
  const run = async () => {
    while (!stop.signal.aborted) {
      await withLease(postgres.pool, 'audit-sink forwarders', ({ over }) => lead(over)).catch((err: unknown) =>
        logger.warn({ err }, 'the forwarders start again'),
      );
      await sleep(FOLLOW_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  const running = run();
  return {
    async close() {
      stop.abort();
      await running;
      await closing.close();
    },
  };
}

/** A database that is away ends one forwarder's loop, and not the others'. */
async function keepForwarding(
  deps: StartForwarders,
  forwarder: Forwarder,
  until: { stop: AbortSignal; ended: () => boolean },
): Promise<void> {
  while (!until.ended()) {
    await forward(deps, forwarder, until).catch((err: unknown) =>
      deps.logger.warn({ err, target: forwarder.name }, 'a forwarder starts again'),
    );
    if (!until.ended()) await sleep(FOLLOW_MS, undefined, { signal: until.stop }).catch(() => undefined);
  }
  // Another replica goes on: what this one last saw would stand beside what that one sees.
  deps.metrics.lag.remove({ forwarder: forwarder.name });
  deps.metrics.stopped.remove({ forwarder: forwarder.name });
}

function openTarget(target: TargetConfig, tls: Pick<TlsMaterial, 'current'>, now: Forward['now']): Target {
  if (target.kind === 'loki') return lokiTarget(target, tls);
  if (target.kind === 'otlp') return otlpTarget(target, tls);
  return operatorWebhook(target, tls, now);
}

/** Whether a target is sent an event. */
export function wantedBy(target: TargetConfig): (event: LogEvent['event']) => boolean {
  const { actions, outcomes, tenants } = target.filter;
  const types = target.kind === 'webhook' ? (target.types ?? notificationTypes) : null;
  const ofTypes = types && new Set(actionsOf(types));
  return (event) =>
    (actions === undefined || actions.includes(event.action)) &&
    (outcomes === undefined || outcomes.includes(event.outcome)) &&
    (tenants === undefined || (event.tenant !== null && tenants.includes(event.tenant))) &&
    (types === null || (ofTypes?.has(event.action) === true && typeOf(event, types) !== undefined));
}
