/** The clock as a dependency: production passes `systemNow`, a test passes its own. */
export type Now = () => Date;

export const systemNow: Now = () => new Date();
