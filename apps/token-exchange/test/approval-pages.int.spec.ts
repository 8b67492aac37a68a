import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { routesOn } from '@postern/http';
import { walkRoutes } from '@postern/http/walk';
import { describeWith, realPart } from '@postern/testing';
import { openBrowser } from '@postern/testing/browser';
import { deciding } from './approval-pages/deciding.ts';
import { readable } from './approval-pages/readable.ts';
import { anonymous, close, job, open, world } from './approval-pages/scene.ts';
import { sessions } from './approval-pages/sessions.ts';

describeWith(
  await realPart('Chromium', openBrowser),
  'R17, R19: the pages of approvals in a real browser',
  (browser) => {
    beforeAll(() => open(browser));
    afterAll(close);

    deciding();
    readable();
    sessions();

    test('every route of the pages refuses what it must, from its declaration', async () => {
      const pages = world.service.app.routes.filter(({ path }) => path.startsWith('/approvals'));
      const report = await walkRoutes(
        { ...world.service.app, routes: pages },
        {
          urls: { api: world.urls.api ?? '', public: world.urls.public ?? '', management: world.urls.management ?? '' },
          dispatcher: job.agent,
          anonymous,
          params: { id: crypto.randomUUID() },
          token: () => Promise.reject(new Error('no page takes a token')),
          state: () =>
            world.query(
              'select (select count(*) from approvals) approvals, (select count(*) from web_sessions) sessions',
            ),
        },
      );
      expect(report.failures).toEqual([]);
      expect(report.tried).toBeGreaterThan(10);
    });

    test('the routes of the pages, beside those that are always there', () => {
      expect(routesOn(world.service.app, 'public').filter((name) => name.includes('/approvals'))).toEqual([
        'GET /approvals',
        'GET /approvals/:id',
        'GET /approvals/callback',
        'GET /approvals/sign-in',
        'POST /approvals/:id/decision',
        'POST /approvals/backchannel-logout',
        'POST /approvals/sign-out',
      ]);
    });
  },
);
