import { GetObjectCommand, NoSuchKey, PutObjectCommand, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { PLACE_TIMEOUT_MS, type Place } from './place.ts';

export type BucketOptions = {
  bucket: string;
  /** Before each name, without a slash at its end. */
  prefix: string;
  region: string;
  credentials: NonNullable<S3ClientConfig['credentials']>;
  /** Another address than Amazon's: another maker's storage, or an emulator in development (R6). */
  endpoint?: string;
};

/** A bucket of S3 or what speaks its protocol: with object lock and in another account, nobody of ours can take back what is there. */
export function bucketPlace({ bucket, prefix, region, credentials, endpoint }: BucketOptions): Place {
  const s3 = new S3Client({
    region,
    credentials,
    maxAttempts: 2,
    // Without the last one the SDK only warns, and waits on: nothing would be published any more.
    requestHandler: {
      connectionTimeout: PLACE_TIMEOUT_MS,
      requestTimeout: PLACE_TIMEOUT_MS,
      socketTimeout: PLACE_TIMEOUT_MS,
      throwOnRequestTimeout: true,
    },
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
  });
  const keyOf = (name: string): string => (prefix === '' ? name : `${prefix}/${name}`);
  return {
    async read(name) {
      try {
        const { Body } = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: keyOf(name) }));
        return Body ? Buffer.from(await Body.transformToByteArray()) : null;
      } catch (error) {
        if (error instanceof NoSuchKey) return null;
        throw error;
      }
    },
    async write(name, bytes) {
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key: keyOf(name), Body: bytes }));
    },
    close: () => s3.destroy(),
  };
}
