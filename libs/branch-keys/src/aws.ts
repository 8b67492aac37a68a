// What stands on the AWS SDK, a large part of a process: an entry of its own, loaded by those whose configuration names it.
export { openAwsKmsRootKey, type AwsKmsOptions } from './aws-kms-root-key.ts';
export { webIdentityCredentials, type AwsCredentials, type WebIdentityOptions } from './web-identity.ts';
