/** Debian's Chromium with a fresh profile, driven by playwright-core. */

import type { Browser } from 'playwright-core';
import { chromiumPath } from '../../support/browserPrerequisites.ts';

const chromiumFlags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const viewport = { width: 1400, height: 900 };

export async function launchBrowser(): Promise<Browser> {
  // Loaded here, so that a test file loads where the nested package is not installed and can say so.
  const { chromium } = await import('playwright-core');
  return chromium.launch({ executablePath: chromiumPath(), args: chromiumFlags, headless: true });
}

export interface WorkbenchAddress {
  serverUrl: string;
  workspaceFolder: string;
  /** Folder of an extension to load as the one under development. */
  extensionPath?: string | undefined;
  /** Module that the extension host runs as its tests; it exports `run()`. */
  testsPath?: string | undefined;
}

/** The page's address: the workbench reads the folder and the extension under development from it. */
export function workbenchUrl(address: WorkbenchAddress): string {
  const remote = (path: string) => `vscode-remote://remote${path}`;
  const payload: [string, string][] = [];
  if (address.extensionPath) payload.push(['extensionDevelopmentPath', remote(address.extensionPath)]);
  if (address.testsPath) payload.push(['extensionTestsPath', remote(address.testsPath)]);
  const url = new URL(address.serverUrl);
  url.searchParams.set('folder', address.workspaceFolder);
  if (payload.length > 0) url.searchParams.set('payload', JSON.stringify(payload));
  return url.href;
}
