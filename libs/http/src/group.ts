import type { Route } from './declaration.ts';

/** Puts routes under a heading of the API document, in which groups stand in the order of their first route. */
export const group = (name: string, description: string, routes: readonly Route[]): Route[] => {
  const heading = Object.freeze({ name, description });
  return routes.map((route) => Object.freeze({ ...route, group: heading }));
};
