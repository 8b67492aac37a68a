import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { bucketPlace } from './bucket.ts';

test('a request that the storage takes and never answers is broken off and made again', async () => {
  let asked = 0;
  const server = createServer((_request, response) => {
    asked += 1;
    if (asked === 1) return;
    response.writeHead(404, { 'content-type': 'application/xml' }).end('<Error><Code>NoSuchKey</Code></Error>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const place = bucketPlace({
    bucket: 'log',
    prefix: '',
    region: 'eu-central-1',
    credentials: { accessKeyId: 'a', secretAccessKey: 's' },
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
  });
  expect(await place.read('checkpoint')).toBeNull();
  expect(asked).toBe(2);
  place.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
