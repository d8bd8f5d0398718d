import { escapeHtml, type WebviewResources, webviewDocument } from './webviewDocument.ts';

/** What the document of a training panel is made of. */
export interface TrainingPanelDocument extends WebviewResources {
  /** Absolute path of the run directory. */
  directory: string;
}

/** The document that the panel's script draws in. */
export function trainingPanelHtml(parts: TrainingPanelDocument): string {
  return webviewDocument({
    ...parts,
    title: 'CLIPSelf training',
    body: `<body data-run-directory="${escapeHtml(parts.directory)}">
<main id="training"></main>`,
  });
}

/** The document shown while the run cannot be read; it holds no script. */
export function unreadableRunHtml(directory: string, problem: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'">
<title>CLIPSelf training</title>
</head>
<body>
<h2>This run cannot be read</h2>
<p>${escapeHtml(directory)}</p>
<p>${escapeHtml(problem)}</p>
<p>The panel comes back by itself when the run does.</p>
</body>
</html>`;
}

/** The run directory in a persisted panel state of any version; null when there is none that can be trusted. */
export function directoryOfState(state: unknown): string | null {
  if (typeof state !== 'object' || state === null || !('directory' in state)) return null;
  return typeof state.directory === 'string' && state.directory !== '' ? state.directory : null;
}
