import { onThemeChange } from './theme.ts';

/** What a panel does about what happens to its document. */
export interface PanelEvents<Message> {
  received(message: Message): void;
  /** The theme has other colours now. */
  recoloured(): void;
  /** Something failed that nobody waited for. */
  failed(message: string): void;
}

/** Listens to the extension, to failures and to the theme, for as long as the document lives. */
export function listenToPanel<Message>({ received, recoloured, failed }: PanelEvents<Message>): void {
  window.addEventListener('message', (event: MessageEvent<Message>) => received(event.data));
  window.addEventListener('error', ({ message }) => {
    // The browser's note that it put off a notification about a size is no fault.
    if (!/ResizeObserver loop/.test(message)) failed(message);
  });
  window.addEventListener('unhandledrejection', ({ reason }) => failed(String(reason)));
  // The computed colours follow with the next frame.
  onThemeChange(() => requestAnimationFrame(recoloured));
}
