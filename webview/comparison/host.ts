import { PanelHost } from '../panelHost.ts';
import type { VsCodeApi } from '../vscodeApi.ts';
import type { ComparisonRequests, ComparisonState, MessageFromComparison } from './protocol.ts';

/** What a change of the state may wait before the host is told, in milliseconds. */
const STATE_DELAY = 150;

/** The panel's side of the conversation. */
export class ComparisonHost extends PanelHost<ComparisonRequests, MessageFromComparison, ComparisonState> {
  constructor(api: VsCodeApi<MessageFromComparison, ComparisonState>) {
    super(api, STATE_DELAY);
  }
}
