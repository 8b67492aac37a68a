/** What the doctor says of one thing it looked at. */
export type Finding = {
  level: 'ok' | 'warning' | 'problem';
  /** The service, or `all` where it is about several. */
  service: string;
  /** What was looked at: `certificates`, `clock`, `postgres`, ... */
  about: string;
  says: string;
  /** What to do; absent where nothing is to be done. */
  todo?: string;
};

export const fine = (service: string, about: string, says: string): Finding => ({ level: 'ok', service, about, says });
export const warning = (service: string, about: string, says: string, todo: string): Finding => ({
  level: 'warning',
  service,
  about,
  says,
  todo,
});
export const problem = (service: string, about: string, says: string, todo: string): Finding => ({
  level: 'problem',
  service,
  about,
  says,
  todo,
});
