// The floor of `service/start` and `service/idle-memory`: what every service imports at the least, listening on nothing.
import 'express';
import 'pg';
import 'redis';

process.stdout.write('ready\n');
setInterval(() => {}, 1 << 30);
