/** What a webview's document links to. */
export interface WebviewResources {
  /** Random for each document; the only script and style that carry it are ours. */
  nonce: string;
  /** Origin of the webview's own resources. */
  cspSource: string;
  scriptUri: string;
  styleUri: string;
}

export interface WebviewDocument extends WebviewResources {
  title: string;
  /** The body's opening tag and content, escaped; the script follows it. */
  body: string;
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** A document that runs one script of ours and reaches nothing else. */
export function webviewDocument(parts: WebviewDocument): string {
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
<title>${escapeHtml(parts.title)}</title>
</head>
${parts.body}
<script nonce="${parts.nonce}" src="${escapeHtml(parts.scriptUri)}"></script>
</body>
</html>`;
}

/** A panel whose script and style go by one name, which is also the id of the element that the script draws in. */
export interface PanelPage {
  name: 'inspector' | 'evaluation' | 'comparison';
  title: string;
}

/** The document of such a panel. */
export function panelHtml({ name, title }: PanelPage, resources: WebviewResources): string {
  return webviewDocument({ ...resources, title, body: `<body>\n<main id="${name}"></main>` });
}
