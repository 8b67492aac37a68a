import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { describeWith, realPart } from '@postern/testing';
import { startMoto } from '@postern/testing/moto';
import { bucketPlace } from '../src/publication/bucket.ts';
import { folderPlace } from '../src/publication/folder.ts';
import type { Place } from '../src/publication/place.ts';
import { readConfig } from '../src/config.ts';
import { openWorld } from './world.ts';

const moto = await realPart('moto', startMoto);
const folder = await mkdtemp(join(tmpdir(), 'published-'));

afterAll(async () => {
  if ('part' in moto) await moto.part.close();
  await rm(folder, { recursive: true, force: true });
});

/** What the log asks of a place (R27). */
async function holdsContract(place: Place): Promise<void> {
  expect(await place.read('checkpoint')).toBeNull();
  await place.write('checkpoint', Buffer.from('first\n'));
  await place.write('tile/entries/x001/234.p/7', Buffer.from([0, 1, 255]));
  expect((await place.read('checkpoint'))?.toString()).toBe('first\n');
  await place.write('checkpoint', Buffer.from('second\n'));
  expect((await place.read('checkpoint'))?.toString()).toBe('second\n');
  expect(await place.read('tile/entries/x001/234.p/7')).toEqual(Buffer.from([0, 1, 255]));
  expect(await place.read('tile/entries/x001/234')).toBeNull();
  place.close();
}

test('a folder keeps what is published', () => holdsContract(folderPlace(folder)));

describeWith(moto, 'a bucket', ({ endpoint }) => {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const region = 'eu-west-1';

  test('keeps what is published, and says when it cannot be reached', async () => {
    const s3 = new S3Client({ region, endpoint, forcePathStyle: true, credentials });
    await s3.send(
      new CreateBucketCommand({ Bucket: 'audit-log', CreateBucketConfiguration: { LocationConstraint: region } }),
    );
    s3.destroy();
    await holdsContract(bucketPlace({ bucket: 'audit-log', prefix: 'prod', region, credentials, endpoint }));
    const elsewhere = bucketPlace({ bucket: 'no-such-bucket', prefix: '', region, credentials, endpoint });
    await expect(elsewhere.write('checkpoint', Buffer.from('x'))).rejects.toThrow();
    elsewhere.close();
  });
});

test('above low a place outside the database is required; less retention than the profile asks for is refused (R27)', async () => {
  const world = await openWorld();
  const { POSTERN_AUDIT_PUBLISH_TO: _to, ...without } = world.env;
  const started = (over: Record<string, string>) => () => readConfig({ ...without, ...over });
  expect(started({ POSTERN_PROFILE: 'fedramp-moderate' })).toThrow(/POSTERN_AUDIT_PUBLISH_TO: fedramp-moderate/);
  expect(started({ POSTERN_PROFILE: 'fedramp-low' })).not.toThrow();
  const bucket = { POSTERN_AUDIT_PUBLISH_TO: 's3://audit-log/prod?region=eu-west-1' };
  expect(started(bucket)).toThrow(/POSTERN_AUDIT_PUBLISH_TO: a bucket/);
  expect(started({ POSTERN_PROFILE: 'fedramp-low', POSTERN_AUDIT_RETENTION_DAYS: '30' })).toThrow(/RETENTION_DAYS/);
  await world.close();
});
