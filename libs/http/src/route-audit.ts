import { newEvent, type Action, type AuditEvent, type EventDraft } from '@postern/audit';
import { Problem } from '@postern/runtime';
import type { AuditGuard, AuditPort, RouteAudit, What, WhatRead } from './audit-port.ts';
import { recordedStream } from './recorded-stream.ts';
import { release, type Answer, type Answers, type Outgoing, type Released } from './released.ts';
import { bytesAnswer, jsonAnswer, pageAnswer, redirectAnswer, streamAnswer } from './serialise.ts';

/** Thrown when a read's guard no longer holds (R32): the route runs its handler again. */
export class StaleRead extends Error {}

/** Who asked, for which tenant, under which request: what every event of one request has in common. */
export type EventFrame = Pick<AuditEvent, 'tenant' | 'actor' | 'source' | 'request' | 'trace'>;

export type RouteAuditDeps = {
  readonly port: AuditPort;
  readonly action: Action;
  readonly answers: Answers;
  readonly frame: EventFrame;
  readonly now: () => Date;
};

type Given<R extends Answers> = Answer<R> | (() => Answer<R>);

/** The `audit` of one request: see {@link RouteAudit}. The answer is always parsed and serialised before anything is committed. */
export function createRouteAudit({ port, action, answers, frame, now }: RouteAuditDeps): RouteAudit<Action, Answers> {
  const eventOf = (
    what: What<Action> | WhatRead<Action>,
    outcome: AuditEvent['outcome'],
    reason = what.reason,
  ): AuditEvent => newEvent(draftOf({ ...frame, ...what, action: what.action ?? action, outcome, reason }), now());

  const read = async (what: WhatRead<Action>, outgoing: Outgoing): Promise<Released> => {
    if (!(await port.commit(eventOf(what, what.outcome ?? 'success'), what.guard))) throw new StaleRead();
    return release(outgoing, 'recorded');
  };
  const json = (answer: Given<Answers>): Outgoing =>
    jsonAnswer(answers, (typeof answer === 'function' ? answer() : answer) as Parameters<typeof jsonAnswer>[1]);

  return {
    released: (what, answer) => attempt(() => read(what as WhatRead<Action>, json(answer))),
    async within(tx, what, answer) {
      const outgoing = json(answer);
      await port.within(tx, eventOf(what as What<Action>, what.outcome ?? 'success'));
      return release(outgoing, 'recorded');
    },
    async joined(make, what, answer) {
      const outgoing = json(answer);
      const made = await make(eventOf(what as What<Action>, what.outcome ?? 'success'));
      return made ? release(outgoing, 'recorded') : null;
    },
    async effect(intent, act) {
      const asked = eventOf(intent as What<Action>, 'intent');
      await port.commit(asked);
      const { what, answer } = await act(asked.id).catch(async (error: unknown) => {
        const reason = error instanceof Problem ? error.code : 'internal_error';
        await port.commit({ ...eventOf(intent as What<Action>, 'failed', reason), intent: asked.id });
        throw error;
      });
      // The effect stands: what fails from here on leaves the intent open, to be reconciled, and never says that it failed.
      const outgoing = json(answer);
      await port.commit({ ...eventOf(what as What<Action>, what.outcome ?? 'success'), intent: asked.id });
      return release(outgoing, 'recorded');
    },
    item: (what) => port.commit(eventOf(what as WhatRead<Action>, what.outcome ?? 'success'), what.guard),
    itemWithin: (tx, what) => port.within(tx, eventOf(what as What<Action>, what.outcome ?? 'success')),
    itemJoined: (make, what) => make(eventOf(what as What<Action>, what.outcome ?? 'success')),
    bytes: (what, body) => attempt(() => read(what as WhatRead<Action>, bytesAnswer(answers, body))),
    async streamed(intent, stream, outcome) {
      const source = recordedStream(stream.source, (ending) =>
        port.commit(eventOf({ ...(outcome() as What<Action>), ...ending }, ending.outcome)),
      );
      const outgoing = streamAnswer(answers, { ...stream, source });
      const { guard } = intent;
      return (await port.commit(eventOf(intent as What<Action>, 'intent'), guard))
        ? release(outgoing, 'recorded')
        : null;
    },
    stream: (what, source) => attempt(() => read(what as WhatRead<Action>, streamAnswer(answers, source))),
    page: (what, page) => attempt(() => read(what as WhatRead<Action>, pageAnswer(answers, page))),
    redirect: (what, redirect) => attempt(() => read(what as WhatRead<Action>, redirectAnswer(answers, redirect))),
    async pageWithin(tx, what, page) {
      const outgoing = pageAnswer(answers, page);
      await port.within(tx, eventOf(what as What<Action>, what.outcome ?? 'success'));
      return release(outgoing, 'recorded');
    },
    async redirectWithin(tx, what, redirect) {
      const outgoing = redirectAnswer(answers, redirect);
      await port.within(tx, eventOf(what as What<Action>, what.outcome ?? 'success'));
      return release(outgoing, 'recorded');
    },
  };
}

// A failure of serialising is a rejection like any other, never a throw before the promise.
const attempt = async (act: () => Promise<Released>): Promise<Released> => await act();

type Loose = Omit<EventDraft, 'details' | 'reason'> & {
  details?: EventDraft['details'];
  reason?: string | undefined;
  guard?: AuditGuard;
};

/** The event of {@link EventFrame} and what happened, without what is not part of it. */
export function draftOf({
  guard: _guard,
  details,
  reason,
  resource,
  source,
  request,
  trace,
  ...rest
}: Loose): EventDraft {
  return {
    ...rest,
    ...(reason === undefined ? {} : { reason }),
    ...(resource === undefined ? {} : { resource }),
    ...(source === undefined ? {} : { source }),
    ...(request === undefined ? {} : { request }),
    ...(trace === undefined ? {} : { trace }),
    details: details ?? {},
  };
}
