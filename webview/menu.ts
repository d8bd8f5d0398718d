import { createButton } from './controls.ts';
import { element } from './dom.ts';
import { problemOf } from './panelHost.ts';

export interface MenuAction {
  label: string;
  /** Does it; gives what is to be said of it, null for nothing. */
  run(): Promise<string | null>;
  /** Whether it is offered, asked whenever the menu opens; without it always. */
  offered?(): boolean;
}

/**
 * A button that opens a list of actions. It closes when one is taken, by Escape, and by a click elsewhere.
 *
 * @param say Shows what came of an action, or why it failed.
 */
export function createMenu(
  label: string,
  actions: readonly MenuAction[],
  say: (text: string) => void,
): HTMLDetailsElement {
  const take = async ({ run }: MenuAction): Promise<void> => {
    menu.open = false;
    try {
      const said = await run();
      if (said !== null) say(said);
    } catch (error) {
      say(problemOf(error).message);
    }
  };
  const buttons = actions.map(action =>
    createButton({ label: action.label, onClick: () => void take(action) }),
  );
  const summary = element('summary', { text: label });
  const attributes = { role: 'group', 'aria-label': label };
  const menu = element(
    'details',
    { class: 'menu' },
    summary,
    element('div', { class: 'menu-items', attributes }, ...buttons),
  );
  menu.addEventListener('keydown', event => {
    if (event.key !== 'Escape' || !menu.open) return;
    menu.open = false;
    summary.focus();
    event.stopPropagation();
  });
  const clicked = ({ target }: MouseEvent): void => {
    if (target instanceof Node && !menu.contains(target)) menu.open = false;
  };
  menu.addEventListener('toggle', () => {
    if (!menu.open) {
      document.removeEventListener('click', clicked);
      return;
    }
    document.addEventListener('click', clicked);
    for (const [at, button] of buttons.entries()) button.hidden = actions[at]!.offered?.() === false;
  });
  return menu;
}
