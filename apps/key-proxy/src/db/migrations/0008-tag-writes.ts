/** A change of tags is a write at the provider like any other: noted before, with what else its owner said beside them (R23). */
export const keyProxy0008 = `
  alter table provider_writes
    drop constraint provider_writes_operation_check,
    add check (operation in
      ('create', 'put', 'disable', 'enable', 'disable_version', 'enable_version', 'delete', 'recover', 'destroy', 'tag')),
    add column settings jsonb;
`;
