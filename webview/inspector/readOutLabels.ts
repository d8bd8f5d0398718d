import type { ReadOut } from '../../trainer/inspect/protocol.ts';
import type { ColumnSettings } from './protocol/models.ts';

export const readOutLabels: Readonly<Record<ReadOut, string>> = {
  value: 'Value path (CLIPSelf)',
  tokens: 'Last-layer tokens',
  queryQuery: 'q·q attention',
  keyKey: 'k·k attention',
  valueValue: 'v·v attention',
  maskAttention: 'Mask attention (v1)',
};

/** Size, and what differs from the usual read-out of the last layer. */
export function readingName({ size, readOut, layer }: ColumnSettings): string {
  const parts = [`${size} px`];
  if (readOut !== 'value') parts.push(readOutLabels[readOut]);
  if (layer !== null) parts.push(`layer ${layer}`);
  return parts.join(' · ');
}
