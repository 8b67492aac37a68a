/** The targets of a token beside `audience`, which is the first that was named; and of a request for one. */
export const exchanges0006 = `
  alter table exchanges add column more_audiences text[] not null default '{}';
  alter table approvals add column more_audiences text[] not null default '{}';
`;
