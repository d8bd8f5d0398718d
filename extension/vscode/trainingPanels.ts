import path from 'node:path';
import * as vscode from 'vscode';
import { type Disposable, Emitter } from '../emitter.ts';
import { TRAINING_PANEL_TYPE } from '../identifiers.ts';
import { directoryOfState } from '../trainingPanelHtml.ts';
import { createPanel, type PanelHost, TrainingPanel } from './trainingPanel.ts';

/** The training panels of this window: one for each run, restored after a reload. */
export class TrainingPanels implements Disposable {
  readonly #host: PanelHost;
  readonly #open = new Map<string, TrainingPanel>();
  readonly #activeChanged = new Emitter<TrainingPanel | null>();
  readonly #serializer: vscode.Disposable;

  /** Another panel is active, or the run of the active one changed; null when none is. */
  readonly onDidChangeActive = this.#activeChanged.event;

  constructor(host: PanelHost, restored: (directory: string) => void) {
    this.#host = host;
    this.#serializer = vscode.window.registerWebviewPanelSerializer(TRAINING_PANEL_TYPE, {
      deserializeWebviewPanel: async (panel, state) => {
        const directory = directoryOfState(state);
        if (directory === null || !path.isAbsolute(directory) || this.#open.has(directory)) {
          panel.dispose();
          return;
        }
        this.#adopt(panel, directory);
        restored(directory);
      },
    });
  }

  get active(): TrainingPanel | null {
    return [...this.#open.values()].find(panel => panel.isActive) ?? null;
  }

  /** Shows the panel of a run, the one that is open or a new one. */
  show(directory: string): void {
    const open = this.#open.get(directory);
    if (open === undefined) this.#adopt(createPanel(), directory);
    else open.reveal();
  }

  #adopt(panel: vscode.WebviewPanel, directory: string): void {
    const adopted = new TrainingPanel(panel, directory, this.#host);
    this.#open.set(directory, adopted);
    adopted.onDidChangeFocus(() => this.#activeChanged.fire(this.active));
    adopted.onDidClose(() => {
      this.#open.delete(directory);
      this.#activeChanged.fire(this.active);
    });
    this.#activeChanged.fire(this.active);
  }

  dispose(): void {
    this.#serializer.dispose();
    for (const panel of [...this.#open.values()]) panel.dispose();
    this.#activeChanged.dispose();
  }
}
