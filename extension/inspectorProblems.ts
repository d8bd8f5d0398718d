import type { ResponseError } from 'vscode-jsonrpc/node';
import { inspectErrors } from '../trainer/inspect/protocol.ts';
import type { InspectorProblem, ProblemKind } from '../webview/inspector/protocol/requests.ts';
import { inEditorTerms } from './editorTerms.ts';

/** A request of the panel that failed, with what the panel needs to say so. */
export class InspectorError extends Error {
  override readonly name = 'InspectorError';
  readonly kind: ProblemKind;
  readonly suggestedSize: number | undefined;

  constructor(kind: ProblemKind, message: string, suggestedSize?: number) {
    super(message);
    this.kind = kind;
    this.suggestedSize = suggestedSize;
  }
}

const kinds: Readonly<Record<keyof typeof inspectErrors, ProblemKind>> = {
  badRequest: 'other',
  imageNotFound: 'imageGone',
  imageUnreadable: 'image',
  modelUnreadable: 'model',
  readOutUnsupported: 'readOut',
  sizeUnsuitable: 'size',
  outOfMemory: 'memory',
  unknownKey: 'unknownKey',
  cacheUnwritable: 'other',
  noTextTower: 'noText',
  wordsUnreadable: 'wordsFile',
  cancelled: 'cancelled',
};

const kindOfCode = new Map<number, ProblemKind>(
  Object.entries(kinds).map(([name, kind]) => [inspectErrors[name as keyof typeof inspectErrors], kind]),
);

/** JSON-RPC's own codes from −32099 to −32000 speak of the connection, not of the request. */
function isConnectionCode(code: number): boolean {
  return code >= -32099 && code <= -32000;
}

/** The service's refusal; null when the connection broke instead. */
export function problemOfResponse(error: ResponseError<unknown>): InspectorError | null {
  if (isConnectionCode(error.code)) return null;
  const kind = kindOfCode.get(error.code) ?? 'other';
  return new InspectorError(kind, inEditorTerms(error.message), suggestedSizeOf(error.data));
}

function suggestedSizeOf(data: unknown): number | undefined {
  if (typeof data !== 'object' || data === null || !('suggestedSize' in data)) return undefined;
  const size = data.suggestedSize;
  return typeof size === 'number' && Number.isInteger(size) && size > 0 ? size : undefined;
}

/** What the panel is told of a failure. */
export function problemOf(error: unknown): InspectorProblem {
  if (!(error instanceof InspectorError)) {
    return { kind: 'other', message: error instanceof Error ? error.message : String(error) };
  }
  const { kind, message, suggestedSize } = error;
  return { kind, message, ...(suggestedSize === undefined ? {} : { suggestedSize }) };
}
