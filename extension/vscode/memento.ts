import type * as vscode from 'vscode';
import { type Memory, RememberedChoices } from '../rememberedChoices.ts';

/** What this workspace remembers between windows. */
export interface WorkspaceMemory {
  models: RememberedChoices;
  imageFolders: RememberedChoices;
  presets: RememberedChoices;
  /** Runs that were started or opened here, wherever their directories lie. */
  runs: RememberedChoices;
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
  return {
    models: choices('models', 10),
    imageFolders: choices('imageFolders', 10),
    presets: choices('presets', 5),
    runs: choices('runs', 100),
  };
}
