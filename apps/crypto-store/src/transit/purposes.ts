/** The branch key purposes of what callers seal and hold themselves (R30); records have their own. */
export const TRANSIT = 'transit';
export const DATA_KEYS = 'data-keys';
export const MACS = 'macs';
