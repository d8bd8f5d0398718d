import type * as vscode from 'vscode';
import { type Memory, RememberedChoices } from '../rememberedChoices.ts';

/** What this workspace remembers between windows. */
export interface WorkspaceMemory {
  models: RememberedChoices;
  imageFolders: RememberedChoices;
  presets: RememberedChoices;
  /** Runs that were started or opened here, wherever their directories lie. */
  runs: RememberedChoices;
  /** How the last inspector panel was looked at. */
  inspector: { read(): unknown; write(state: unknown): void };
}

/** Bumped when the meaning of what is stored changes. */
const SCHEMA = 1;

export function workspaceMemory(memento: vscode.Memento): WorkspaceMemory {
  const memory: Memory = {
    get: key => memento.get(key),
    update: (key, value) => memento.update(key, value),
  };
  const choices = (name: string, limit: number) =>
    new RememberedChoices(memory, `clipself.v${SCHEMA}.${name}`, limit);
  const inspectorKey = `clipself.v${SCHEMA}.inspector`;
  return {
    models: choices('models', 10),
    imageFolders: choices('imageFolders', 10),
    presets: choices('presets', 5),
    runs: choices('runs', 100),
    inspector: {
      read: () => memory.get(inspectorKey),
      write: state => void memory.update(inspectorKey, state),
    },
  };
}
