export { realmFor, type RealmForOptions } from './realm-for.ts';
export type { RealmRepresentation } from './representations.ts';
