/** What the bus takes from BullMQ. It is loaded by `openBus`: a process that only serves requests has no use for it. */
export { createNodeRedisClient, Queue, UnrecoverableError, Worker } from 'bullmq';
