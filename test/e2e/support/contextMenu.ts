/** The explorer of the window, and its context menu. */

import type { Locator, Page } from 'playwright-core';
import { until } from './inspectorFrame.ts';

/** Milliseconds in which VS Code takes no click in a menu that has just opened. */
const FIRST_MOMENTS = 500;

/** The row of a file or folder in the explorer. */
export const rowOf = (page: Page, name: string): Locator =>
  page.locator('.explorer-folders-view .monaco-list-row', { hasText: name }).first();

/** Selects the rows from one to another, and looks that they are. */
async function selectRows(page: Page, first: string, last: string, count: number): Promise<void> {
  await rowOf(page, first).click({ timeout: 5000 });
  await rowOf(page, last).click({ modifiers: ['Shift'], timeout: 5000 });
  const selected = await page.locator('.explorer-folders-view .monaco-list-row.selected').count();
  if (selected !== count) throw new Error(`${selected} rows are selected, not ${count}`);
}

/**
 * Chooses an entry of the context menu of a row. The menu may lack the entry while the window does not know the extension
 * yet, and may close again as the explorer draws itself anew: what counts is that the entry was taken.
 *
 * @param rows Rows in the order of the explorer, the row among them, that are selected before: each try closes the menu
 *   by a key that also ends a selection.
 */
export async function chooseFromMenu(
  page: Page,
  name: string,
  label: string,
  rows: readonly string[] = [],
): Promise<void> {
  const entry = page.locator('.context-view .action-label', { hasText: label });
  await until(`${label} in the menu of ${name}`, async () => {
    try {
      if (rows.length > 0) await selectRows(page, rows[0]!, rows.at(-1)!, rows.length);
      await rowOf(page, name).click({ button: 'right', timeout: 5000 });
      await entry.waitFor({ timeout: 5000 });
      await page.waitForTimeout(FIRST_MOMENTS);
      await entry.click({ timeout: 5000 });
      await entry.waitFor({ state: 'hidden', timeout: 3000 });
      return true;
    } catch {
      await page.keyboard.press('Escape');
      return false;
    }
  });
}
