/** A real VS Code server (workbench, extension host) on a free port of this machine, with folders of its own. */

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { serverMain, serverNode } from './browserPrerequisites.ts';
import { endTree, MARKER_VARIABLE, signalTree } from './processTree.ts';
import { temporaryFolder } from './temporaryFolder.ts';

export interface VsCodeServerOptions {
  /** User settings, written before the server starts. */
  settings?: Record<string, unknown>;
  /** Environment variables that the extension host shall see beside those of this process. */
  environment?: Record<string, string>;
  /** Folder that holds installed extensions; by default an empty one of the server's own. */
  extensionsFolder?: string;
}

export interface VsCodeServer {
  /** For instance `http://127.0.0.1:41234`. */
  readonly url: string;
  /** Folder of the server's data, removed by `dispose`. */
  readonly dataFolder: string;
  /** Everything that the server has printed. */
  output(): string;
  /** Ends the server and every process that was started below it, then removes its folders. */
  dispose(): Promise<void>;
}

/** Milliseconds until a server that does not listen counts as failed. */
const START_TIMEOUT = 30_000;

/** Settings that keep a fresh workbench quiet: no welcome page, no assistant, no look-ups on the network. */
export const quietSettings: Record<string, unknown> = {
  'chat.disableAIFeatures': true,
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'extensions.ignoreRecommendations': true,
  'files.exclude': { '**/.vscode': true },
  'git.enabled': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'update.mode': 'none',
  'workbench.reduceMotion': 'on',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.enableExperiments': false,
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
};

/** A gallery of extensions without an address: nothing is looked up on the network. */
const noGallery = { EXTENSIONS_GALLERY: '{}' };

/** Starts a server and waits until it listens. Throws with the server's output when it ends or stays silent. */
export async function startVsCodeServer(options: VsCodeServerOptions = {}): Promise<VsCodeServer> {
  const folder = await temporaryFolder();
  const marker = randomUUID();
  await writeUserSettings(folder.file('data/User'), options.settings ?? {});

  const forgetExit = onExit(() => {
    signalTree(marker, 'SIGKILL');
    rmSync(folder.path, { recursive: true, force: true });
  });
  const child = spawn(serverNode, serverArguments(folder.path, options), {
    env: { ...environmentOfServer(), ...noGallery, ...options.environment, [MARKER_VARIABLE]: marker },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const printed: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => printed.push(text));
  }
  const dispose = async () => {
    await endTree(marker);
    forgetExit();
    await folder.remove();
  };
  try {
    const port = await listeningPort(child, printed);
    const url = `http://127.0.0.1:${port}`;
    return { url, dataFolder: folder.path, output: () => printed.join(''), dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** Calls back when this process ends early, also by a signal. Returns what takes that back. */
function onExit(callback: () => void): () => void {
  const stop = () => process.exit(1);
  process.once('exit', callback);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, stop);
  return () => {
    process.removeListener('exit', callback);
    for (const signal of ['SIGINT', 'SIGTERM']) process.removeListener(signal, stop);
  };
}

async function writeUserSettings(userFolder: string, settings: Record<string, unknown>): Promise<void> {
  await mkdir(userFolder, { recursive: true });
  await writeFile(
    join(userFolder, 'settings.json'),
    JSON.stringify({ ...quietSettings, ...settings }, null, 2),
  );
}

function serverArguments(dataFolder: string, options: VsCodeServerOptions): string[] {
  return [
    serverMain,
    ...['--host', '127.0.0.1', '--port', '0', '--without-connection-token', '--accept-server-license-terms'],
    ...['--telemetry-level', 'off', '--disable-workspace-trust', '--enable-smoke-test-driver'],
    ...[
      '--server-data-dir',
      dataFolder,
      '--extensions-dir',
      options.extensionsFolder ?? join(dataFolder, 'extensions'),
    ],
  ];
}

/** This process's environment without what would tell the server that it runs inside npm, tsx or another VS Code. */
function environmentOfServer(): NodeJS.ProcessEnv {
  const foreign = /^(npm_|NODE_OPTIONS$|VSCODE_|ELECTRON_)/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
}

/** The port that the server chose, from the line it prints once it listens. */
function listeningPort(child: ChildProcess, printed: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const fail = (reason: string) => {
      clearTimeout(timer);
      reject(new Error(`the VS Code server ${reason}. It printed:\n${printed.join('')}`));
    };
    const timer = setTimeout(() => fail(`did not listen within ${START_TIMEOUT / 1000} s`), START_TIMEOUT);
    child.once('error', error => fail(`could not be started: ${error.message}`));
    child.once('exit', code => fail(`ended with exit status ${code} before it listened`));
    child.stdout?.on('data', () => {
      const port = /agent listening on (\d+)/.exec(printed.join(''))?.[1];
      if (!port) return;
      clearTimeout(timer);
      resolve(Number(port));
    });
  });
}
