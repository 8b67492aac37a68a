import { type Profile } from '@postern/profile';
import { z } from 'zod';

/** One setting of a realm that a document may override: where it comes from otherwise, and what would be weaker. */
export type RealmOption<T> = {
  control: string;
  about: string;
  schema: z.ZodType<T>;
  /** The profile's value; else the default of every profile. */
  profile?(profile: Profile): T;
  standard?: T;
  /** What is allowed, where `value` is weaker than `standard`. */
  weaker(value: T, standard: T): string | undefined;
};

const option = <T>(given: RealmOption<T>) => given;
const atMost = (unit: string) => (value: number, standard: number) =>
  value > standard ? `at most ${standard} ${unit}` : undefined;
const atLeast = (unit: string) => (value: number, standard: number) =>
  value < standard ? `at least ${standard} ${unit}` : undefined;
const stays = (value: boolean, standard: boolean) => (standard && !value ? 'true' : undefined);
const minutes = z.int().min(1).max(43_200);

/** Section 3.2's options of a realm, under their names in TOML. Times are minutes. */
export const realmOptions = {
  session_idle_timeout: option({
    control: 'AC-11',
    about: 'a session ends after this long without use (minutes)',
    schema: minutes,
    profile: (profile) => profile.sessionIdleMinutes,
    weaker: atMost('minutes'),
  }),
  session_max_lifespan: option({
    control: 'AC-12',
    about: 'a session ends after this long at all (minutes)',
    schema: minutes,
    profile: (profile) => profile.sessionMaxMinutes,
    weaker: atMost('minutes'),
  }),
  access_token_lifespan: option({
    control: 'SC-23',
    about: 'the life of an access token (minutes; FAPI 2.0: short)',
    schema: minutes,
    profile: (profile) => profile.accessTokenMinutes,
    weaker: atMost('minutes'),
  }),
  password_min_length: option({
    control: 'IA-5(1)',
    about: 'the shortest password',
    schema: z.int().min(1).max(128),
    profile: (profile) => profile.passwordMinLength,
    weaker: atLeast('characters'),
  }),
  password_require_uppercase: option({
    control: 'IA-5(1)',
    about: 'an upper-case letter in every password',
    schema: z.boolean(),
    standard: true,
    weaker: stays,
  }),
  password_require_digit: option({
    control: 'IA-5(1)',
    about: 'a digit in every password',
    schema: z.boolean(),
    standard: true,
    weaker: stays,
  }),
  password_require_special_char: option({
    control: 'IA-5(1)',
    about: 'a special character in every password',
    schema: z.boolean(),
    standard: true,
    weaker: stays,
  }),
  password_history_count: option({
    control: 'IA-5(1)',
    about: 'how many of the last passwords may not come again',
    schema: z.int().min(0).max(100),
    standard: 24,
    weaker: atLeast('passwords'),
  }),
  brute_force_enabled: option({
    control: 'AC-7',
    about: 'lock an account after failed logins',
    schema: z.boolean(),
    standard: true,
    weaker: stays,
  }),
  brute_force_max_attempts: option({
    control: 'AC-7',
    about: 'failed logins after which an account is locked',
    schema: z.int().min(1).max(100),
    profile: (profile) => profile.lockoutAttempts,
    weaker: atMost('attempts'),
  }),
  brute_force_lockout_duration: option({
    control: 'AC-7',
    about: 'how long an account stays locked (minutes)',
    schema: minutes,
    profile: (profile) => profile.lockoutMinutes,
    weaker: atLeast('minutes'),
  }),
  require_mfa: option({
    control: 'IA-2(2)',
    about: 'a second factor for everybody; otherwise for administrators and whoever has one',
    schema: z.boolean(),
    profile: (profile) => profile.requireMfa,
    weaker: stays,
  }),
};

export type RealmOptions = {
  [Name in keyof typeof realmOptions]: (typeof realmOptions)[Name] extends RealmOption<infer T> ? T : never;
};
