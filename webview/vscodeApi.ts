/** The object that VS Code gives every webview, with the messages and the state of one panel as its types. */
export interface VsCodeApi<Message, State> {
  postMessage(message: Message): void;
  getState(): State | undefined;
  setState(state: State): State;
}

declare const acquireVsCodeApi: () => VsCodeApi<unknown, unknown>;

/** Call once: VS Code throws the second time. */
export function acquireApi<Message, State>(): VsCodeApi<Message, State> {
  return acquireVsCodeApi() as VsCodeApi<Message, State>;
}
