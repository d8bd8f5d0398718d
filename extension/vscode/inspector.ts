import path from 'node:path';
import * as vscode from 'vscode';
import type { DemoAssets } from '../demoAssets.ts';
import { InspectorModels } from '../inspectorModels.ts';
import { InspectorService } from '../inspectorService.ts';
import type { InspectorWishes } from '../inspectorState.ts';
import type { RunRegistry } from '../runRegistry.ts';
import type { ModelSupply } from './fineTunePicks.ts';
import { inspectDenseFeatures } from './inspectCommand.ts';
import { inspectorDialogues } from './inspectorDialogues.ts';
import { InspectorPanels } from './inspectorPanels.ts';
import type { LogChannel } from './logChannel.ts';
import type { WorkspaceMemory } from './memento.ts';
import { engineSetting, inspectorDefaults, inspectorServiceSettings } from './settings.ts';
import { findModels } from './workspaceFiles.ts';

/** What the inspector is made of. */
export interface InspectorContext {
  extension: vscode.ExtensionContext;
  registry: RunRegistry;
  memory: WorkspaceMemory;
  channel: LogChannel;
  demo: DemoAssets;
  /** Folders of published models that are here, and the way to get another. */
  models: ModelSupply;
}

/** The inspector of this window: its service, the models it offers and its panels. */
export class Inspector implements vscode.Disposable {
  /** For other panels that look through models. */
  readonly service: Pick<InspectorService, 'request'>;
  readonly #panels: InspectorPanels;
  readonly #demoModel: string;
  readonly #disposables: vscode.Disposable;

  constructor(context: InspectorContext) {
    const { extension, registry, memory, channel } = context;
    const service = createService(extension, channel);
    this.service = service;
    this.#demoModel = context.demo.model;
    const models = createModels(context);
    const getModel = () => context.models.get();
    this.#panels = new InspectorPanels({
      extensionUri: extension.extensionUri,
      service,
      models,
      dialogues: inspectorDialogues(models, memory, getModel),
      defaults: inspectorDefaults,
      remembered: memory.inspector.read,
      remember: memory.inspector.write,
      reportError: message => channel.error(message),
    });
    this.#disposables = vscode.Disposable.from(
      this.#panels,
      models,
      service,
      registry.onDidChange(() => {
        service.yieldToTraining(registry.live.length > 0);
        // A panel that opens looks by itself.
        if (!this.#panels.isEmpty) void models.refresh();
      }),
    );
  }

  /** The command. */
  inspect(argument: unknown, selection: unknown): Promise<string[] | null> {
    return inspectDenseFeatures(this.#panels, argument, selection, this.#demoModel);
  }

  /** Shows an image, beside what is in view, with what is wished for. */
  showBeside(image: string, wishes: InspectorWishes): void {
    this.#panels.show([image], wishes, vscode.ViewColumn.Beside);
  }

  /** Ends the service: unlike a trainer it is of no use to anybody else. */
  dispose(): void {
    this.#disposables.dispose();
  }
}

function createService(extension: vscode.ExtensionContext, channel: LogChannel): InspectorService {
  const cache = path.join(extension.globalStorageUri.fsPath, 'inspector-cache');
  return new InspectorService({
    executable: process.execPath,
    script: path.join(extension.extensionPath, 'dist', 'trainer', 'cli.js'),
    args: () => {
      const { cacheImages, idleMinutes } = inspectorServiceSettings();
      return [
        ...['inspect-service', '--cache', cache],
        ...['--cache-images', String(cacheImages), '--idle-timeout', String(idleMinutes * 60)],
        ...['--engine', engineSetting()],
      ];
    },
    log: (level, line) => channel.write(level, line),
  });
}

function createModels({ demo, memory, registry }: InspectorContext): InspectorModels {
  return new InspectorModels({
    demoModel: demo.model,
    find: findModels,
    recent: () => memory.models.list(),
    runs: () => registry.runs,
    shorten: file => vscode.workspace.asRelativePath(file, true),
  });
}
