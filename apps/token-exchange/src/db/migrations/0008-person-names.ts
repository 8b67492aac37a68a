/** What the realm calls the person for whom something is asked: for those who decide, and only until somebody has. */
export const exchanges0008 = `
  alter table approvals add column person_name text;
`;
