/**
 * A write of a batch that was refused is refused again when the batch is repeated, whatever the writes after it made of its record: the
 * code of the problem. Such a row names no record.
 */
export const refusedWrites0003 = `
  alter table record_writes add column refused text;
`;
