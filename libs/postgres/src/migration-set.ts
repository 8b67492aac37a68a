/**
 * The tables of one library or service. Steps run once each, in the order of their names (`0001-records`). A step that
 * has run somewhere is never edited again: `migrate` refuses that.
 */
export type MigrationSet = {
  set: string;
  steps: Record<string, string>;
  /** Tables on which the service role gets less than select, insert, update and delete. */
  privileges?: Record<string, readonly Privilege[]>;
};

export type Privilege = 'select' | 'insert' | 'update' | 'delete';
