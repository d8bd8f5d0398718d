import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as vscode from 'vscode';
import { readFeatures, writeFeatures } from '../../extension/featureExport.ts';
import { InspectorService } from '../../extension/inspectorService.ts';
import type { ModelReference } from '../../trainer/inspect/protocol.ts';
import { identifyProcess } from '../../trainer/runs/processIdentity.ts';

const EXTENSION = 'clipself-lab.clipself-lab';
const EDITOR = 'clipself.inspector';
const PANEL = 'clipself.inspectorPanel';
const SIZE = 224;

/** Milliseconds that a first answer may take on a slow machine: loading, decoding, computing. */
const PATIENCE = 60_000;

describe('the inspector in the extension host', function () {
  this.timeout(2 * PATIENCE);
  const extension = () => vscode.extensions.getExtension(EXTENSION)!.extensionPath;
  const image = (number: number) =>
    path.join(vscode.workspace.workspaceFolders![0]!.uri.fsPath, 'images', `scene-0${number}.jpg`);

  async function until<T>(what: string, look: () => T | null | Promise<T | null>): Promise<T> {
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      const found = await look();
      if (found !== null) return found;
      await sleep(100);
    }
    throw new Error(`waited in vain for ${what}`);
  }

  const tabs = () => vscode.window.tabGroups.all.flatMap(group => group.tabs);
  const panelTabs = () =>
    tabs().filter(({ input }) => input instanceof vscode.TabInputWebview && input.viewType.includes(PANEL));

  afterEach(() => vscode.commands.executeCommand('workbench.action.closeAllEditors'));

  it('opens one panel for several images, and the same one again for one of them', async () => {
    const images = [image(1), image(2)];
    const inspect = (argument: object) =>
      vscode.commands.executeCommand('clipself.inspectDenseFeatures', argument);
    assert.deepEqual(await inspect({ images, model: path.join(extension(), 'media/demo/model') }), images);
    const tab = await until('the panel', () => panelTabs()[0] ?? null);
    assert.equal(tab.label, 'Dense Features: scene-01.jpg and 1 more');
    await inspect({ images: [image(2)] });
    assert.equal(panelTabs().length, 1);
    await inspect({ images: [image(3)] });
    await until('another panel', () => (panelTabs().length === 2 ? true : null));
  });

  it('takes what the explorer passes: the entry under the pointer and all that are selected', async () => {
    const uris = [image(1), image(2)].map(file => vscode.Uri.file(file));
    const shown = await vscode.commands.executeCommand('clipself.inspectDenseFeatures', uris[0], [
      ...uris,
      vscode.Uri.file(path.join(extension(), 'package.json')),
    ]);
    assert.deepEqual(
      shown,
      uris.map(uri => uri.fsPath),
    );
  });

  it('tells a caller what is wrong with the argument', async () => {
    const call = vscode.commands.executeCommand('clipself.inspectDenseFeatures', {
      images: ['relative.png'],
    });
    await assert.rejects(Promise.resolve(call), /“images” must be an absolute path/);
  });

  it('is an editor that images can be reopened with', async () => {
    await vscode.commands.executeCommand('vscode.openWith', vscode.Uri.file(image(1)), EDITOR);
    const tab = await until('the editor', () => vscode.window.tabGroups.activeTabGroup.activeTab ?? null);
    assert.ok(tab.input instanceof vscode.TabInputCustom);
    assert.deepEqual([tab.input.viewType, tab.input.uri.fsPath], [EDITOR, image(1)]);
  });

  describe('asks its service', () => {
    let cache: string;
    let service: InspectorService;
    const lines: string[] = [];
    const model = (): ModelReference => ({
      ...{ path: path.join(extension(), 'media/demo/model'), arch: null, step: null, blend: null },
    });

    before(async () => {
      cache = await mkdtemp(path.join(os.tmpdir(), 'clipself-inspector-'));
      service = new InspectorService({
        executable: process.execPath,
        script: path.join(extension(), 'dist/trainer/cli.js'),
        args: () => ['inspect-service', '--cache', cache, '--cache-images', '20', '--idle-timeout', '60'],
        log: (_, line) => lines.push(line),
      });
    });

    after(async () => {
      const { pid } = service;
      service.dispose();
      if (pid !== null) {
        await until('the end of the service', async () =>
          (await identifyProcess(pid)) === null ? 'ended' : null,
        );
      }
      await rm(cache, { recursive: true, force: true });
    });

    const features = () =>
      service.request('features', {
        ...{ model: model(), image: image(1), size: SIZE, readOut: 'value', layer: null },
      });

    it('for the dense features of a sample image with the demo model', async () => {
      const described = await service.request('describe', { model: model() });
      const map = await features();
      assert.equal(map.rows * described.patchSize, SIZE);
      assert.equal(map.dimension, described.dimension);
      const bytes = await readFeatures({ ...map, ...(await service.request('mapFile', { key: map.key })) });
      assert.equal(bytes.byteLength, map.rows * map.columns * map.dimension * 2);
      assert.ok(new Uint16Array(bytes).some(half => half !== 0));
      assert.equal((await features()).cached, true);
    });

    it('for clusters and components of it', async () => {
      const { key, rows, columns, valid } = await features();
      const clusters = await service.request('kMeans', {
        ...{ keys: [key], k: 4, seed: 0, restarts: 2, smooth: false, reference: null },
      });
      const { labels, shares } = clusters.maps[0]!;
      assert.equal(labels.length, rows * columns);
      assert.equal(labels.filter(label => label >= 0).length, valid.rows * valid.columns);
      assert.ok(Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-6);
      const { maps, explainedVariance } = await service.request('pca', { keys: [key], highest: 2 });
      const floats = Buffer.from(maps[0]!.coordinates, 'base64').length / 4;
      assert.equal(floats, valid.rows * valid.columns * explainedVariance.length);
    });

    it('and writes an array that can be read again', async () => {
      const map = await features();
      const target = path.join(cache, 'out.npy');
      const { file } = await service.request('mapFile', { key: map.key });
      await writeFeatures(target, 'npy', { ...map, file });
      const npy = await readFile(target);
      assert.equal(npy.toString('latin1', 1, 6), 'NUMPY');
      const start = 10 + npy.readUInt16LE(8);
      assert.match(
        npy.toString('latin1', 10, start),
        new RegExp(`'shape': \\(${map.rows}, ${map.columns}, ${map.dimension}\\)`),
      );
      assert.deepEqual(npy.subarray(start), await readFile(file));
    });

    it('which says clearly what it cannot do', async () => {
      const request = { model: model(), size: SIZE, readOut: 'value' as const, layer: null };
      const missing = path.join(path.dirname(image(1)), 'missing.jpg');
      await assert.rejects(service.request('features', { ...request, image: missing }), {
        name: 'InspectorError',
        kind: 'imageGone',
      });
      const none = service.request('features', { ...request, image: image(1), size: 3 });
      await assert.rejects(none, { kind: 'size', suggestedSize: 8 });
    });

    it('and leaves nothing but maps in its cache', async () => {
      const names = await readdir(cache);
      assert.ok(names.length > 0);
      for (const name of names) assert.ok((await stat(path.join(cache, name))).size > 0, name);
    });
  });
});
