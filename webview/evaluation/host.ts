import { PanelHost, problemOf as panelProblem } from '../panelHost.ts';
import type { VsCodeApi } from '../vscodeApi.ts';
import type {
  EvaluationRequests,
  EvaluationState,
  MessageFromEvaluation,
  RequestProblem,
} from './protocol.ts';

/** What a change of the state may wait before the host is told, in milliseconds. */
const STATE_DELAY = 150;

/** The panel's side of the conversation. */
export class EvaluationHost extends PanelHost<EvaluationRequests, MessageFromEvaluation, EvaluationState> {
  constructor(api: VsCodeApi<MessageFromEvaluation, EvaluationState>) {
    super(api, STATE_DELAY);
  }
}

/** The problem that an error names; errors of the panel itself become `other`. */
export const problemOf = (error: unknown): RequestProblem => panelProblem(error);
