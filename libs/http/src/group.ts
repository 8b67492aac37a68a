import type { Route } from './declaration.ts';

/** A heading of the API document, with what its routes are about. */
export type RouteGroup = { readonly name: string; readonly description: string };

/** Puts routes under a heading of the API document, in which groups stand in the order of their first route. */
export const group = (name: string, description: string, routes: readonly Route[]): Route[] => {
  const heading = Object.freeze({ name, description });
  return routes.map((route) => Object.freeze({ ...route, group: heading }));
};
