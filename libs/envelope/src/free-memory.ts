/** Below this the collector is cheaper. */
const WORTH_BYTES = 16 * 1024;

/**
 * Gives the memory of bytes that nobody else holds back at once. A stream makes garbage as fast as it runs; left to the
 * collector it is tens of MiB, and taking fresh pages for each frame costs more than encrypting it.
 */
export function freeMemory({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < WORTH_BYTES || buffer.byteLength !== byteLength || !(buffer instanceof ArrayBuffer)) return;
  // Node 20, where only the client runs, does not have it.
  (buffer as Partial<Pick<ArrayBuffer, 'transfer'>>).transfer?.call(buffer, 0);
}
