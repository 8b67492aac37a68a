export {
  type AccessTokenType,
  type Profile,
  type ProfileName,
  type RateTier,
  type SigningAlgorithm,
} from './profile.ts';
export { profileNamed, profileNames, profiles, underFips } from './profiles.ts';
