// The floor of `crypto-store/retrieve`: Express answers a value from Redis, over the same mutual TLS, and does nothing else.
import express from 'express';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { createClient } from 'redis';

type Configuration = {
  port: number;
  tls: { cert: string; key: string; ca: string };
  redis: { port: number; username: string; password: string };
};

const { port, tls, redis } = JSON.parse(process.argv[2] ?? '{}') as Configuration;
const [cert, key, ca] = [tls.cert, tls.key, tls.ca].map((path) => readFileSync(path, 'utf8'));
const material = { cert: cert ?? '', key: key ?? '', ca: ca ?? '' };
const client = createClient({
  username: redis.username,
  password: redis.password,
  socket: { host: '127.0.0.1', port: redis.port, tls: true, servername: 'localhost', ...material },
});
await client.connect();

const app = express();
app.get('/value/:key', async (request, response) => {
  const payload = await client.get(request.params.key);
  response.json({ key: request.params.key, payload });
});
const options = { ...material, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' as const };
createServer(options, app).listen(port, '127.0.0.1');
