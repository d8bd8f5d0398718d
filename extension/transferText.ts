import type { TransferProgress } from '../trainer/transferMeter.ts';

/** `120 MB of 599 MB, 12.3 MB/s, 39 s left` */
export function describeTransfer({
  received,
  total,
  bytesPerSecond,
  remainingSeconds,
}: TransferProgress): string {
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  const left =
    remainingSeconds < 90
      ? `${Math.ceil(remainingSeconds)} s left`
      : `${Math.ceil(remainingSeconds / 60)} min left`;
  return `${megabytes(received)} of ${megabytes(total)}, ${(bytesPerSecond / 1e6).toFixed(1)} MB/s, ${left}`;
}
