import { isMutation, newEvent, type AuditEvent } from '@postern/audit';
import { networkOf, type Now } from '@postern/runtime';

const MINUTE_MS = 60_000;
const FLUSH_EVERY_MS = 5_000;

/** Single refusals of one principal in a minute; more are counted in one event. */
const PRINCIPAL_BUDGET = 60;
/** Of these, refusals of what only looks may use so many: the rest is for refused mutations. */
const LOOKS_BUDGET = 40;
/** Principals whose budgets are kept apart in a minute; further ones share one, so that memory is bounded. */
const PRINCIPALS = 10_000;
/** Most classes counted apart in a minute; further ones share one line, so that memory is bounded. */
const CLASSES = 5_000;

type Line = { first: AuditEvent; count: number; minute: number };

export type Refusals = {
  /** Counts a refusal that came before authentication: one event for (source class, route, reason, minute) (R24). */
  early(event: AuditEvent): void;
  /** Whether this refusal of a known principal is within its budget and shall stand by itself; otherwise it was counted. */
  single(event: AuditEvent): boolean;
  /** Records what was counted in minutes that are over. */
  flush(): Promise<void>;
  close(): Promise<void>;
};

/**
 * Keeps refusals from flooding the log. Counts are in memory for at most a minute and a few seconds: a crash may lose those
 * of refusals, never an event of something done.
 */
export function createRefusals(record: (event: AuditEvent) => Promise<unknown>, now: Now): Refusals {
  const lines = new Map<string, Line>();
  const budgets = new Map<string, number>();
  let budgetMinute = 0;
  const minuteOf = () => Math.floor(now().getTime() / MINUTE_MS);

  const count = (key: string, event: AuditEvent) => {
    const minute = minuteOf();
    const wanted = `${minute} ${key}`;
    const place = lines.has(wanted) || lines.size < CLASSES ? wanted : `${minute} other`;
    const line = lines.get(place);
    if (line) line.count += 1;
    else lines.set(place, { first: event, count: 1, minute });
  };
  const keep = (key: string, line: Line) => {
    const since = lines.get(key);
    if (since) since.count += line.count;
    else if (lines.size < CLASSES) lines.set(key, line);
  };
  const flush = async (before: number) => {
    const due = [...lines].filter(([, { minute }]) => minute < before);
    await Promise.all(
      due.map(async ([key, line]) => {
        lines.delete(key);
        // What cannot be written now is kept for the next time, beside what was counted meanwhile.
        await record(summary(line, now())).catch(() => keep(key, line));
      }),
    );
  };
  const timer = setInterval(() => void flush(minuteOf()), FLUSH_EVERY_MS);
  timer.unref();

  return {
    early(event) {
      count(`${sourceClass(event)} ${route(event)} ${event.reason ?? ''}`, event);
    },
    single(event) {
      const minute = minuteOf();
      if (minute !== budgetMinute) {
        budgets.clear();
        budgetMinute = minute;
      }
      const principal = principalOf(event);
      const place = budgets.has(principal) || budgets.size < PRINCIPALS ? principal : 'other';
      const used = budgets.get(place) ?? 0;
      if (used >= (triesToChange(event) ? PRINCIPAL_BUDGET : LOOKS_BUDGET)) {
        count(`${principal} ${route(event)} ${event.reason ?? ''}`, event);
        return false;
      }
      budgets.set(place, used + 1);
      return true;
    },
    flush: () => flush(minuteOf()),
    async close() {
      clearInterval(timer);
      await flush(Infinity);
    },
  };
}

function summary({ first, count, minute }: Line, at: Date): AuditEvent {
  if (count === 1) return first;
  const {
    id: _id,
    time: _time,
    v: _v,
    source: _source,
    request: _request,
    trace: _trace,
    resource: _r,
    ...rest
  } = first;
  return newEvent(
    {
      ...rest,
      action: 'request.refused',
      source: { address: sourceClass(first) },
      details: {
        route: route(first),
        ...(first.action === 'request.refused' ? { status: first.details['status'] } : { action: first.action }),
        count,
        from: new Date(minute * MINUTE_MS).toISOString(),
      },
    },
    at,
  );
}

/** A refusal by the route names what was asked for; others are of the action themselves. */
const triesToChange = ({ action, details }: AuditEvent): boolean =>
  isMutation(action === 'request.refused' ? String(details['action'] ?? action) : action);

const route = (event: AuditEvent): string => String(event.details['route'] ?? event.action);

function principalOf({ tenant, actor }: AuditEvent): string {
  return JSON.stringify([tenant, actor.person?.issuer, actor.person?.sub, actor.client, actor.workload]);
}

/** The workload where the certificate told one, else the network: /24 of IPv4, /48 of IPv6. */
const sourceClass = ({ actor, source }: AuditEvent): string =>
  actor.workload ?? networkOf(source?.address ?? 'unknown', { v4: 24, v6: 48 });
