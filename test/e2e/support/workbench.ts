/** The workbench of a real VS Code in a browser: its palette, quick picks, notifications and webviews. */

import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Frame, Locator, Page } from 'playwright-core';
import sharp from 'sharp';
import { repositoryRoot } from '../../support/browserPrerequisites.ts';
import { startVsCodeServer, type VsCodeServer } from '../../support/vscodeServer.ts';
import { launchBrowser, viewport, workbenchUrl } from './browser.ts';

export interface WorkbenchOptions {
  workspaceFolder: string;
  settings?: Record<string, unknown>;
  /** Environment variables that the extension shall see. */
  environment?: Record<string, string>;
  /** Folder of the extension under test; by default the repository. */
  extensionPath?: string;
  /** Folder of installed extensions, tested in place of one under development. */
  extensionsFolder?: string;
}

/** Colour themes by their class on the workbench. */
const themes = {
  light: { name: 'Light Modern', className: 'vs' },
  dark: { name: 'Dark Modern', className: 'vs-dark' },
  highContrast: { name: 'Default High Contrast', className: 'hc-black' },
  highContrastLight: { name: 'Default High Contrast Light', className: 'hc-light' },
} as const;

export type Theme = keyof typeof themes;

/** The label of a picker's row: its first line; a second one holds the detail. An icon leaves a space before it. */
const LABEL = '.quick-input-list-rows > :first-child .label-name';

/** Milliseconds that the workbench gets to open, an extension to contribute, a picker to appear. */
const TIMEOUT = 60_000;

export class Workbench {
  /** Playwright's page, for what the methods below do not cover. */
  readonly page: Page;
  private readonly server: VsCodeServer;
  private readonly browser: Browser;
  private readonly workspaceFolder: string;

  constructor(server: VsCodeServer, browser: Browser, page: Page, workspaceFolder: string) {
    this.server = server;
    this.browser = browser;
    this.page = page;
    this.workspaceFolder = workspaceFolder;
  }

  /** Runs a command by its title in the palette, category left out. Waits until an extension has contributed it. */
  async runCommand(title: string): Promise<void> {
    const deadline = Date.now() + TIMEOUT;
    const row = this.pickerRow(new RegExp(`^\\s*(.+: )?${escapeForPattern(title)}\\s*$`));
    while (Date.now() < deadline) {
      await this.page.keyboard.press('F1');
      // The palette may close again while the window is busy.
      const isTyped = await this.pickerInput()
        .fill(`>${title}`, { timeout: 3000 })
        .then(
          () => true,
          () => false,
        );
      if (isTyped && (await appears(row, 2000))) {
        await row.click();
        // So that whoever looks for a picker next finds the command's own.
        await row.waitFor({ state: 'hidden', timeout: TIMEOUT });
        return;
      }
      await this.page.keyboard.press('Escape');
    }
    throw new Error(`the palette offers no command "${title}"`);
  }

  /** Picks the entry with this label in the open quick pick. */
  async pick(label: string): Promise<void> {
    const row = this.pickerRow(new RegExp(`^\\s*${escapeForPattern(label)}\\s*$`));
    // Rows that are scrolled out of sight are not in the document: filter until this one is.
    if (!(await appears(row, 5000))) await this.pickerInput().fill(label);
    await row.click({ timeout: TIMEOUT });
  }

  /** Labels of the entries in sight of the open quick pick, once there are any. */
  async pickLabels(): Promise<string[]> {
    const labels = this.page.locator(`.quick-input-widget:visible .monaco-list-row ${LABEL}`);
    await labels.first().waitFor({ timeout: TIMEOUT });
    return (await labels.allInnerTexts()).map(label => label.trim());
  }

  /** Types an answer into the open input box or quick pick and confirms it. */
  async answer(text: string): Promise<void> {
    await this.pickerInput().fill(text);
    await this.page.keyboard.press('Enter');
  }

  /**
   * Waits for a notification that contains the text, in the notification centre: a window that a test drives shows no
   * toasts.
   */
  async notification(text: string): Promise<Locator> {
    const centre = this.page.locator('.notifications-center.visible');
    const item = centre.locator('.notification-list-item', { hasText: text }).first();
    const deadline = Date.now() + TIMEOUT;
    while (Date.now() < deadline) {
      // An empty centre shows that it is empty and does not fill while it is open.
      if (await appears(item, 500)) return item;
      await this.page.locator('[id="status.notifications"]').click();
    }
    throw new Error(`no notification says "${text}"`);
  }

  /** Closes the notification centre; its notifications stay in it. */
  async hideNotifications(): Promise<void> {
    const centre = this.page.locator('.notifications-center.visible');
    if (await centre.isVisible()) await this.page.locator('[id="status.notifications"]').click();
  }

  /**
   * The document inside a visible webview that holds an element matching the selector. Ask again after a reload or after
   * the panel was hidden, which makes a new document.
   */
  async webviewFrame(containing = 'body', timeout = TIMEOUT): Promise<Frame> {
    const deadline = Date.now() + timeout;
    while (Date.now() < deadline) {
      for (const frame of await this.webviewFrames()) {
        if (await holds(frame, containing)) return frame;
      }
      await sleep(100);
    }
    throw new Error(`no visible webview holds "${containing}" after ${timeout / 1000} s`);
  }

  /**
   * Saves what the window shows as a PNG file in the folder that CLIPSELF_SCREENSHOTS names, below the repository or
   * absolute; does nothing where it names none.
   */
  async keepPicture(name: string): Promise<void> {
    const folder = process.env.CLIPSELF_SCREENSHOTS;
    if (!folder) return;
    const path = resolve(repositoryRoot, folder);
    await mkdir(path, { recursive: true });
    // Transitions are brought to their end, so that no colour of the theme before is left.
    const picture = await this.page.screenshot({ animations: 'disabled' });
    // A palette halves pictures with photographs. Dithered more, flat colours that it lacks turn into dots.
    await sharp(picture)
      .png({ palette: true, quality: 95, effort: 10, dither: 0.5 })
      .toFile(join(path, name));
  }

  /** Sets a colour theme through the settings and waits until the workbench wears it. */
  async setTheme(theme: Theme): Promise<void> {
    await this.changeSettings({ 'workbench.colorTheme': themes[theme].name });
    await this.page.waitForSelector(`.monaco-workbench.${themes[theme].className}`, { timeout: TIMEOUT });
  }

  /**
   * Changes settings while the workbench runs; those not named stay. They go to the workspace's settings, which the
   * workbench watches; the user's it reads once.
   */
  async changeSettings(changes: Record<string, unknown>): Promise<void> {
    const file = `${this.workspaceFolder}/.vscode/settings.json`;
    const present: object = existsSync(file) ? JSON.parse(await readFile(file, 'utf8')) : {};
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, JSON.stringify({ ...present, ...changes }, null, 2));
  }

  /**
   * Reloads the window by its own command, which ends the extension host and starts another. A reload of the bare page
   * would leave the workbench no time to write down which editors are open.
   */
  async reload(): Promise<void> {
    const reloaded = this.page.waitForEvent('load', { timeout: TIMEOUT });
    await this.runCommand('Reload Window');
    await reloaded;
    await waitUntilUsable(this.page);
  }

  /** Folder of the server's data, with the global storage of extensions; removed by `dispose`. */
  get dataFolder(): string {
    return this.server.dataFolder;
  }

  /** Closes the browser and ends the server with every process below it. */
  async dispose(): Promise<void> {
    await this.browser.close();
    await this.server.dispose();
  }

  private pickerInput(): Locator {
    return this.page.locator('.quick-input-widget:visible input.input').first();
  }

  private pickerRow(label: RegExp): Locator {
    const name = this.page.locator(LABEL, { hasText: label });
    return this.page.locator('.quick-input-widget:visible .monaco-list-row', { has: name }).first();
  }

  /** Webviews that are in sight: an outer document of the workbench's own, and within it the extension's. */
  private async webviewFrames(): Promise<Frame[]> {
    const frames: Frame[] = [];
    for (const outer of await this.page.locator('iframe.webview.ready:visible').elementHandles()) {
      // A document that is replaced meanwhile is not there.
      const inner = await (await outer.contentFrame())?.$('iframe#active-frame').catch(() => null);
      const frame = await inner?.contentFrame().catch(() => null);
      if (frame) frames.push(frame);
    }
    return frames;
  }
}

/** Starts a server and a browser, opens the folder and waits until the workbench is drawn. */
export async function openWorkbench(options: WorkbenchOptions): Promise<Workbench> {
  const server = await startVsCodeServer(options);
  const browser = await launchBrowser().catch(async error => {
    await server.dispose();
    throw error;
  });
  const page = await browser.newPage({ viewport });
  const workbench = new Workbench(server, browser, page, options.workspaceFolder);
  try {
    const extensionPath =
      options.extensionPath ??
      (options.extensionsFolder === undefined ? repositoryRoot.replace(/\/$/, '') : undefined);
    // There from the start: a settings file that appears later is noticed only after seconds.
    await workbench.changeSettings({ 'workbench.colorTheme': themes.dark.name, ...options.settings });
    await page.goto(workbenchUrl({ ...options, serverUrl: server.url, extensionPath }));
    await waitUntilUsable(page);
    return workbench;
  } catch (error) {
    await workbench.dispose();
    throw error;
  }
}

/** The explorer lists the folder once the server's file system answers. */
async function waitUntilUsable(page: Page): Promise<void> {
  await page.waitForSelector('.monaco-workbench .explorer-folders-view .monaco-list-row', {
    timeout: TIMEOUT,
  });
}

async function appears(locator: Locator, timeout: number): Promise<boolean> {
  return locator.waitFor({ timeout }).then(
    () => true,
    () => false,
  );
}

/** False also for a document that is replaced while it is asked. */
async function holds(frame: Frame, selector: string): Promise<boolean> {
  return frame
    .locator(selector)
    .first()
    .isVisible()
    .catch(() => false);
}

function escapeForPattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
