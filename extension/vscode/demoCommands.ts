import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import * as vscode from 'vscode';
import { readAnyConfiguration } from '../../trainer/runs/pretrainConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import type { DemoAssets } from '../demoAssets.ts';
import { type DemoFolder, demoFolderAt, prepareDemoFolder, sampleScenes } from '../demoFolder.ts';
import { evaluationsOf } from '../evaluationFiles.ts';
import type { RunRegistry } from '../runRegistry.ts';
import { workspaceFolders } from './settings.ts';

/** The walkthrough as VS Code knows it: publisher, extension and its own id. */
const walkthrough = 'clipself-lab.clipself-lab#clipself.start';

/**
 * A file that is there while the walkthrough is to go on in the window that opens: what windows remember for each other
 * may arrive later than the window.
 */
const goesOnFile = 'walkthrough-goes-on';

/** Scenes that one inspector panel is opened with, and the side of their input: patches small beside things. */
const inspected = { scenes: 8, size: 288 } as const;

/** The steps of the walkthrough: the demo model on the demo's scenes, in a folder of the user's own. */
export class DemoCommands {
  readonly #context: vscode.ExtensionContext;
  readonly #demo: DemoAssets;
  readonly #registry: RunRegistry;

  constructor(context: vscode.ExtensionContext, demo: DemoAssets, registry: RunRegistry) {
    this.#context = context;
    this.#demo = demo;
    this.#registry = registry;
  }

  /**
   * Opens the demo's folder as a workspace, in a window of its own when this one has a folder.
   *
   * @returns The folder.
   */
  async open(): Promise<string> {
    const { folder } = await this.#prepare();
    if (this.#isOpen()) {
      await vscode.commands.executeCommand('workbench.view.explorer');
      return folder;
    }
    await writeFile(this.#goesOn, '');
    const forceNewWindow = workspaceFolders().length > 0;
    await vscode.commands.executeCommand('vscode.openFolder', vscode.Uri.file(folder), { forceNewWindow });
    return folder;
  }

  /** Shows the walkthrough again where `open` led. */
  async goOn(): Promise<void> {
    if (!this.#isOpen() || !existsSync(this.#goesOn)) return;
    await rm(this.#goesOn, { force: true });
    await vscode.commands.executeCommand('workbench.action.openWalkthrough', walkthrough, false);
  }

  /** @returns The images shown; null when nothing is shown. */
  async inspect(): Promise<string[] | null> {
    const images = await sampleScenes(await this.#prepare(), inspected.scenes);
    const { size } = inspected;
    const request = { images, model: this.#demo.model, size, view: 'kMeans' };
    return vscode.commands.executeCommand('clipself.inspectDenseFeatures', request);
  }

  /** A run that names the regions of other scenes before training and after each epoch. @returns The run directory. */
  async fineTune(): Promise<string | null> {
    const { scenes, proposals, annotations, images, masks } = await this.#prepare();
    return vscode.commands.executeCommand('clipself.fineTune', {
      ...{ model: this.#demo.model, images: scenes, preset: 'demo' },
      settings: {
        ...{ regions: 'proposals', boxes: proposals, cropScale: 1.5, teacherCacheMib: 64 },
        ...{ evaluatePanoptic: annotations, evaluateImages: images, evaluateMasks: masks },
      },
    });
  }

  /** @returns The report in view. */
  async evaluate(): Promise<string | null> {
    const report = await this.#latestRun();
    if (report === null)
      throw new Error('There is no evaluation yet: run “Fine-tune on the Demo Scenes” first.');
    return vscode.commands.executeCommand('clipself.openEvaluation', { report });
  }

  /** The newest run of the demo that has an evaluation. */
  async #latestRun(): Promise<string | null> {
    await this.#registry.refresh();
    for (const { directory } of this.#registry.runs.toSorted((a, b) => b.updated - a.updated))
      if ((await this.#isOfDemo(directory)) && (await evaluationsOf(directory)).length > 0) return directory;
    return null;
  }

  async #isOfDemo(run: string): Promise<boolean> {
    const { settings } = await readAnyConfiguration(runFiles(run).configuration);
    return 'images' in settings && settings.images === this.#place.scenes;
  }

  get #goesOn(): string {
    return path.join(this.#context.globalStorageUri.fsPath, goesOnFile);
  }

  get #place(): DemoFolder {
    return demoFolderAt(path.join(this.#context.globalStorageUri.fsPath, 'demo'));
  }

  #prepare(): Promise<DemoFolder> {
    return prepareDemoFolder(this.#demo.workspace, this.#place.folder);
  }

  #isOpen(): boolean {
    return workspaceFolders().some(folder => path.relative(folder, this.#place.folder) === '');
  }
}
