/**
 * Many values as one, with where each begins (from 1, as SQL counts) and how long it is: an array of bytea goes as text, in
 * twice the bytes. Of one that is null both are null.
 */
export function pack(values: readonly (Buffer | null)[]) {
  let at = 1;
  return {
    whole: Buffer.concat(values.filter((value) => value !== null)),
    starts: values.map((value) => (value === null ? null : (at += value.length) - value.length)),
    lengths: values.map((value) => value && value.length),
  };
}
