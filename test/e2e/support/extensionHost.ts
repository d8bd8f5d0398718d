/** Runs a bundled test index inside the extension host of a real VS Code and relays what its tests print. */

import { format } from 'node:util';
import type { Page } from 'playwright-core';
import { TEST_LINE } from '../../support/hostLog.ts';
import { startVsCodeServer, type VsCodeServer } from '../../support/vscodeServer.ts';
import { launchBrowser, viewport, workbenchUrl } from './browser.ts';
import type { HostTestOptions } from './hostTestOptions.ts';

/** Lines of the workbench's log that a failed run shows. */
const LOG_TAIL = 200;

/** Resolves with the exit status that the extension host reports; 1 when it does not report within the time given. */
export async function runInExtensionHost(options: HostTestOptions): Promise<number> {
  const server = await startVsCodeServer(options);
  try {
    const browser = await launchBrowser();
    try {
      return await runPage(await browser.newPage({ viewport }), server, options);
    } finally {
      await browser.close();
    }
  } finally {
    await server.dispose();
  }
}

async function runPage(page: Page, server: VsCodeServer, options: HostTestOptions): Promise<number> {
  const log: string[] = [];
  const status = await new Promise<number>((resolve, reject) => {
    const giveUp = (reason: string) => {
      console.error(reason);
      resolve(1);
    };
    const timer = setTimeout(() => {
      giveUp(`the tests in the extension host did not finish within ${options.timeout / 1000} s`);
    }, options.timeout);
    page.on('crash', () => giveUp('the browser page of the extension host tests crashed'));
    page.on('close', () => clearTimeout(timer));
    openTestPage(page, server, options, log, resolve).catch(reject);
  });
  if (status !== 0) {
    console.error(`The workbench logged at last:\n${log.slice(-LOG_TAIL).join('\n')}`);
    console.error(`The server printed:\n${server.output()}`);
  }
  return status;
}

/** The page calls the two exposed functions, so they must exist before it loads. */
async function openTestPage(
  page: Page,
  server: VsCodeServer,
  options: HostTestOptions,
  log: string[],
  exit: (status: number) => void,
): Promise<void> {
  await page.exposeFunction('codeAutomationLog', (_type: string, values: unknown[]) => {
    const line = format(...values);
    if (line.startsWith(TEST_LINE)) process.stdout.write(`${line.slice(TEST_LINE.length)}\n`);
    else log.push(line);
  });
  await page.exposeFunction('codeAutomationExit', exit);
  await page.goto(workbenchUrl({ ...options, serverUrl: server.url }));
}
