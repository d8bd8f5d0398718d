import {
  PanelHost,
  type ProgressListener as PanelProgressListener,
  problemOf as panelProblem,
} from '../panelHost.ts';
import type { VsCodeApi } from '../vscodeApi.ts';
import type { MessageFromInspector } from './protocol/messages.ts';
import type { InspectorProblem, InspectorRequests } from './protocol/requests.ts';
import type { InspectorState } from './protocol/state.ts';

/** How far a request is; `fraction` 0 … 1, null while unknown. */
export type ProgressListener = PanelProgressListener;

/** What a change of the settings may wait before the host is told, in milliseconds. */
const STATE_DELAY = 300;

/** The panel's side of the conversation. */
export class InspectorHost extends PanelHost<InspectorRequests, MessageFromInspector, InspectorState> {
  constructor(api: VsCodeApi<MessageFromInspector, InspectorState>) {
    super(api, STATE_DELAY);
  }
}

/** The problem that an error names; errors of the panel itself become `other`. */
export const problemOf = (error: unknown): InspectorProblem => panelProblem(error);
