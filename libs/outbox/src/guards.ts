/**
 * Predicates that prove a read still fresh at the instant of its commit (R32): name -> SQL over `e.k1`, `e.k2`, `e.k3`
 * (text) and `e.n` (bigint). They are part of the program, never made of input; input comes in the four values.
 */
export type Guards = Readonly<Record<string, string>>;

/** A guard to hold, and the values it speaks about. */
export type GuardUse = { name: string; k1?: string; k2?: string; k3?: string; n?: number };

/**
 * What is counted in the statement that records a guarded event, and only where that recorded it: guard -> SQL that inserts
 * what it makes of the rows `e` (the same columns) of `counted`. Part of the program, as the guards are. Let it insert into
 * a table of its own: rows that others update meanwhile would make groups wait for each other.
 */
export type Counts = Readonly<Record<string, string>>;

const GUARD_NAME = /^[a-z][a-z0-9-]{0,40}$/;

/**
 * All guards as one boolean expression over `e`; `e.guard` says which one shall hold for the row. Each is a query of its own:
 * as a bare `exists` Postgres may choose to look through the whole table once for a group, instead of up one row for an event.
 *
 * @throws TypeError for a name that could not be written into SQL as it is.
 */
export function guardExpression(guards: Guards): string {
  const arms = Object.entries(guards).map(([name, predicate]) => {
    if (!GUARD_NAME.test(name)) throw new TypeError(`${name} is no name of a guard`);
    return `when '${name}' then (select ${predicate})`;
  });
  if (arms.length === 0) return 'false';
  return `case e.guard ${arms.join(' ')} else false end`;
}
