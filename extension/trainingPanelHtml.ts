/** What the document of a training panel is made of. */
export interface TrainingPanelDocument {
  /** Random for each document; the only script and style that carry it are ours. */
  nonce: string;
  /** Origin of the webview's own resources. */
  cspSource: string;
  scriptUri: string;
  styleUri: string;
  /** Absolute path of the run directory. */
  directory: string;
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** The document that the panel's script draws in. */
export function trainingPanelHtml(parts: TrainingPanelDocument): string {
  const policy = [
    "default-src 'none'",
    `img-src ${parts.cspSource} blob: data:`,
    `style-src ${parts.cspSource} 'nonce-${parts.nonce}'`,
    `font-src ${parts.cspSource}`,
    `script-src 'nonce-${parts.nonce}'`,
  ].join('; ');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${escapeHtml(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" nonce="${parts.nonce}" href="${escapeHtml(parts.styleUri)}">
<title>CLIPSelf training</title>
</head>
<body data-run-directory="${escapeHtml(parts.directory)}">
<main id="training"></main>
<script nonce="${parts.nonce}" src="${escapeHtml(parts.scriptUri)}"></script>
</body>
</html>`;
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
