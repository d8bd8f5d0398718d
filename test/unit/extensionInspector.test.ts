import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { readCocoBoxes } from '../../extension/cocoBoxes.ts';
import { type FeatureFile, readFeatures, writeFeatures } from '../../extension/featureExport.ts';
import { commandLineOf, inspectArguments, reproducingLine } from '../../extension/inspectorCommandLine.ts';
import { checkImages, isInspectArgument, parseInspectArguments } from '../../extension/inspectorRequest.ts';
import { defaultState, parseState, rememberedPart, withWishes } from '../../extension/inspectorState.ts';
import { panelHtml } from '../../extension/webviewDocument.ts';
import { npyBytes } from '../../trainer/checkpoints/npyFile.ts';
import { readSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { quoteWord } from '../../trainer/shellWord.ts';
import type { TransferProgress } from '../../trainer/transferMeter.ts';
import type { CopyCommandQuery } from '../../webview/inspector/protocol/requests.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'clipself-inspector-'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the argument of Inspect Dense Features', () => {
  it('takes images, model, size and view', () => {
    const argument = { images: ['/a/b.jpg', '/a/../a/b.jpg'], model: '/m', size: 448, view: 'pca' };
    assert.ok(isInspectArgument(argument));
    assert.deepEqual(parseInspectArguments(argument, '/demo'), {
      images: ['/a/b.jpg'],
      source: { kind: 'file', path: '/m' },
      size: 448,
      view: 'pca',
    });
    assert.deepEqual(parseInspectArguments({ images: '/a/scan.TIFF' }, '/demo'), {
      images: ['/a/scan.TIFF'],
    });
    const demo = parseInspectArguments({ images: '/a/b.png', model: '/demo' }, '/demo');
    assert.deepEqual(demo.source, { kind: 'demo' });
  });

  it('names the entry that cannot be used', () => {
    const refuses = (argument: Record<string, unknown>, pattern: RegExp) =>
      assert.throws(() => parseInspectArguments(argument, '/demo'), pattern);
    refuses({ images: '/a.png', sise: 3 }, /“sise” is not an argument/);
    refuses({ images: 'a.png' }, /“images” must be an absolute path, not "a\.png"/);
    refuses({ images: [] }, /at least one image/);
    refuses({ images: '/a.txt' }, /\/a\.txt is no image that can be inspected/);
    refuses({ images: '/a.png', size: 31 }, /“size” must be a whole number from 32 to 4096, not 31/);
    refuses({ images: '/a.png', view: 'x' }, /“x” is not a view\. Known: patches, kMeans/);
    assert.throws(
      () => checkImages(Array.from({ length: 201 }, (_, index) => `/${index}.png`)),
      /at most 200 images; 201 were chosen/,
    );
    assert.equal(isInspectArgument(undefined), false);
    assert.equal(isInspectArgument({ fsPath: '/a.png' }), false);
  });
});

describe('the state of an inspector panel', () => {
  const defaults = { size: 448, colourMap: 'viridis' };

  it('comes back as it was stored', () => {
    const state = withWishes(
      { ...defaultState(defaults), images: ['/a.png', '/b.png'], image: 1, opacity: 0.25 },
      { source: { kind: 'run', directory: '/runs/x', step: 12 }, size: 224, view: 'similarity' },
    );
    assert.equal(state.columns[0]?.size, 224);
    assert.deepEqual(parseState(JSON.parse(JSON.stringify(state)), defaults), state);
    assert.deepEqual(rememberedPart(state), { ...state, images: [], image: 0 });
  });

  it('replaces what cannot be used by the defaults', () => {
    const fallback = defaultState(defaults);
    for (const nonsense of [null, 7, 'x', [], { schema: 2, view: 'pca' }]) {
      assert.deepEqual(parseState(nonsense, defaults), fallback);
    }
    const hostile = {
      schema: 1,
      images: ['relative.png', 5, '/ok.png'],
      image: 9,
      view: 'nothing',
      columns: [
        { source: { kind: 'file', path: '../up' }, size: 1e9, readOut: 'x', layer: -1 },
        1,
        2,
        3,
        4,
        5,
      ],
      opacity: 7,
      colourMap: '<script>',
      kMeans: { k: 1e6, seed: 'x', restarts: Number.NaN, smooth: 1 },
      pca: { components: [1, 2] },
      words: { list: ['', 3], prompts: 'loud', temperature: -1, shown: 1, embeddings: 'relative.npy' },
    };
    const parsed = parseState(hostile, defaults);
    assert.equal(parsed.columns.length, 4);
    assert.deepEqual(parsed, {
      ...fallback,
      images: ['/ok.png'],
      columns: Array.from({ length: 4 }, () => fallback.columns[0]!),
    });
  });
});

describe('the command line that reproduces a view', () => {
  const query: CopyCommandQuery = {
    view: 'kMeans',
    query: { image: 0, source: { kind: 'demo' }, size: 448, readOut: 'keyKey', layer: 10 },
    k: 6,
    seed: 1,
    restarts: 5,
    smooth: true,
  };
  const look = { opacity: 0.6, smooth: false, colourMap: 'viridis' };
  const reference = { path: "/models/it's", arch: null, step: 40, blend: null };

  it('quotes what a shell would take apart', () => {
    const args = inspectArguments(query, reference, '/my images/cat.jpg', look);
    assert.equal(
      commandLineOf(args, 'linux'),
      "clipself kmeans --model '/models/it'\\''s' --step 40 --image '/my images/cat.jpg' --size 448" +
        ' --read-out keyKey --layer 10 --k 6 --seed 1 --restarts 5 --smooth --out cat-kmeans.png',
    );
    assert.equal(quoteWord("C:\\it's\\x.png", 'win32'), "'C:\\it''s\\x.png'");
    assert.equal(quoteWord('C:\\models\\x.png', 'win32'), 'C:\\models\\x.png');
    assert.equal(quoteWord('$(rm)', 'linux'), "'$(rm)'");
    assert.equal(quoteWord('', 'linux'), "''");
  });

  it('has the options of its view', () => {
    const plain = { ...query.query, readOut: 'value' as const, layer: null };
    const model = { path: '/m', arch: 'ViT-B-16', step: null, blend: null };
    const args = (more: Partial<CopyCommandQuery>) =>
      inspectArguments({ view: 'pca', query: plain, ...more }, model, '/i.png', look).join(' ');
    const head = '--model /m --arch ViT-B-16 --image /i.png';
    assert.equal(
      args({ components: [0, 2, 1] }),
      `pca ${head} --size 448 --components 0,2,1 --out i-pca.png`,
    );
    assert.equal(
      args({ view: 'similarity', patch: 17 }),
      `similarity ${head} --size 448 --patch 17 --out i-similarity.png`,
    );
    assert.equal(
      args({ view: 'regions' }),
      `regions ${head} --boxes i-boxes.json --size 448 --overlay i-regions.png --out i-regions.safetensors`,
    );
    assert.equal(args({ view: 'norms' }), `norms ${head} --size 448 --out i-norms.png`);
    assert.equal(
      args({ view: 'attention', patch: 5, attention: { head: 'mean', layer: 3 } }),
      `attention ${head} --size 448 --layer 3 --patch 5 --head mean --out i-attention.png`,
    );
    assert.equal(
      args({ view: 'attention', attention: { head: 'rollout', layer: null } }),
      `attention ${head} --size 448 --out i-attention.png`,
    );
    assert.equal(args({ view: 'patches' }), `features ${head} --size 448 --out i-features.safetensors`);
    assert.equal(
      args({ view: 'patches', boxes: [[0, 0, 9, 9]] }),
      `regions ${head} --boxes i-boxes.json --size 448 --overlay i-regions.png --out i-regions.safetensors`,
    );
    const earlier = { ...model, step: 7 };
    for (const view of ['patches', 'regions'] as const)
      assert.match(
        inspectArguments({ ...query, view }, earlier, '/i.png', look).join(' '),
        /--step 7 --image \/i\.png .*--size 448 --read-out keyKey --layer 10 .*--out i-/,
      );
    assert.equal(
      args({ view: 'similarity', boxes: [[1, 2, 30, 40]] }),
      `similarity ${head} --size 448 --box 1,2,30,40 --out i-similarity.png`,
    );
    assert.throws(() => args({ view: 'similarity' }), /Point at a patch first/);
    const words: NonNullable<CopyCommandQuery['words']> = {
      ...{ list: ['sky', 'sea'], prompts: 'ensemble', temperature: 0.01, shown: null, embeddings: null },
    };
    assert.equal(
      args({ view: 'words', words }),
      `words ${head} --size 448 --words sky,sea --out i-words.png`,
    );
    assert.equal(
      args({ view: 'words', words: { ...words, prompts: 'plain', temperature: 0 } }),
      `words ${head} --size 448 --words sky,sea --plain --temperature 0 --out i-words.png`,
    );
    assert.equal(
      args({ view: 'words', words: { ...words, shown: 'sea', embeddings: '/w.npy' } }),
      `words ${head} --size 448 --words sky,sea --embeddings /w.npy --map sea --out i-words.png`,
    );
    assert.match(args({ view: 'words', words: { ...words, list: ['-x'] } }), / --words=-x /);
    assert.match(args({ view: 'regions', words }), / --words sky,sea --out i-regions\.safetensors$/);
    assert.match(args({ view: 'kMeans', words }), / --words sky,sea --out i-kmeans\.png$/);
    assert.throws(() => args({ view: 'words', words: { ...words, list: [] } }), /Type a word first/);
    const magma = { opacity: 0.85, smooth: true, colourMap: 'magma' };
    const similarity: CopyCommandQuery = { view: 'similarity', query: plain, patch: 3 };
    assert.match(
      commandLineOf(inspectArguments(similarity, model, '/i.png', magma), 'linux'),
      /--patch 3 --colours magma --opacity 0\.85 --bilinear --out/,
    );
  });

  it('writes the boxes of regions first', () => {
    const plain = { ...query.query, readOut: 'value' as const, layer: null };
    const boxes: CopyCommandQuery['boxes'] = [[1, 2, 3, 4.5]];
    const regions = { view: 'regions' as const, query: plain, boxes };
    const model = { path: '/m', arch: null, step: null, blend: null };
    const line = (platform: NodeJS.Platform) => reproducingLine(regions, model, '/a b/i.png', look, platform);
    const command = "clipself regions --model /m --image '/a b/i.png' --boxes i-boxes.json --size 448";
    assert.equal(
      line('linux'),
      `printf %s '[[1,2,3,4.5]]' > i-boxes.json && ${command} --overlay i-regions.png --out i-regions.safetensors`,
    );
    assert.ok(line('win32').startsWith("Set-Content i-boxes.json '[[1,2,3,4.5]]'; clipself regions"));
    assert.throws(
      () => reproducingLine({ ...regions, boxes: [] }, model, '/i', look, 'linux'),
      /Draw or load/,
    );
    const step = reproducingLine(regions, { ...model, step: 3 }, '/i.png', look, 'linux');
    assert.match(step, /clipself regions --model \/m --step 3 --image/);
  });
});

describe('exported features', () => {
  /** 1, 2, … 24 in half precision: sign, 5 bits of exponent, 10 of fraction. */
  const halves = Uint16Array.from({ length: 24 }, (_, index) => {
    const value = index + 1;
    const exponent = Math.floor(Math.log2(value));
    return ((exponent + 15) << 10) | ((value / 2 ** exponent - 1) * 1024);
  });

  async function features(): Promise<FeatureFile> {
    const file = path.join(folder, 'map');
    await writeFile(file, halves);
    return { file, rows: 2, columns: 3, valid: { rows: 2, columns: 2 }, dimension: 4 };
  }

  it('are an array that NumPy reads', async () => {
    const npy = npyBytes([2, 3, 4], { float16: new Uint16Array(await readFeatures(await features())) });
    const text = Buffer.from(npy).toString('latin1');
    const headerLength = new DataView(npy.buffer).getUint16(8, true);
    const start = 10 + headerLength;
    assert.equal(start % 64, 0);
    assert.equal(text.slice(0, 8), '\x93NUMPY\x01\x00');
    const header = text.slice(10, start);
    assert.match(header, /^\{'descr': '<f2', 'fortran_order': False, 'shape': \(2, 3, 4\), \} +\n$/);
    assert.deepEqual(new Uint16Array(npy.buffer, start), halves);
  });

  it('are a safetensors file with the rows and columns that hold image', async () => {
    const target = path.join(folder, 'out.safetensors');
    await writeFeatures(target, 'safetensors', await features());
    const { tensors } = await readSafetensors(target);
    assert.deepEqual(tensors.get('dense')?.shape, [2, 3, 4]);
    assert.equal(tensors.get('dense')?.dtype, 'float16');
    assert.deepEqual([...tensors.get('dense')!.data], [...halves]);
    assert.deepEqual([...tensors.get('valid')!.data], [2, 2]);
  });

  it('are refused when the file has another size', async () => {
    const torn = { ...(await features()), rows: 3 };
    await assert.rejects(readFeatures(torn), /48 bytes instead of 72\. Ask for the features again/);
    await assert.rejects(writeFeatures(path.join(folder, 'x.npy'), 'npy', torn), /instead of 72/);
    await assert.rejects(readFile(path.join(folder, 'x.npy')), /ENOENT/);
  });
});

describe('boxes from COCO annotations', () => {
  const image = '/data/val/000001.jpg';

  async function read(content: unknown) {
    const file = path.join(folder, 'annotations.json');
    await writeFile(file, JSON.stringify(content));
    return readCocoBoxes(file, image);
  }

  it('are those of the image, objects and segments alike', async () => {
    const loaded = await read({
      images: [
        { id: 1, file_name: 'val/000001.jpg' },
        { id: 2, file_name: '000002.jpg' },
      ],
      categories: [{ id: 7, name: 'cat' }],
      annotations: [
        { image_id: 1, category_id: 7, bbox: [10, 20, 30, 40] },
        { image_id: 2, category_id: 7, bbox: [1, 1, 1, 1] },
        { image_id: 1, category_id: 7, bbox: [0, 0, 0, 5] },
        { image_id: 1, segments_info: [{ category_id: 8, bbox: [1, 2, 3, 4] }, { bbox: ['x'] }] },
      ],
    });
    assert.deepEqual(loaded, {
      file: 'annotations.json',
      total: 2,
      boxes: [
        { box: [10, 20, 40, 60], label: 'cat', mask: null },
        { box: [1, 2, 4, 6], label: '', mask: null },
      ],
    });
  });

  it('come with their masks, which give the box where there is none', async () => {
    const polygons = [[2, 3, 9, 3, 9, 8]];
    const { boxes } = await read({
      images: [{ id: 1, file_name: '000001.jpg' }],
      annotations: [
        { image_id: 1, bbox: [1, 2, 9, 9], segmentation: polygons },
        { image_id: 1, segmentation: polygons },
        { image_id: 1, segmentation: { size: [7, 1], counts: '231N' } },
        { image_id: 1, bbox: [1, 2, 9, 9], segmentation: [] },
      ],
    });
    assert.deepEqual(
      boxes.map(({ box, mask }) => [box, mask]),
      [
        [[1, 2, 10, 11], polygons],
        [[2, 3, 9, 8], polygons],
        [[0, 2, 1, 7], { size: [7, 1], counts: '231N' }],
        [[1, 2, 10, 11], null],
      ],
    );
  });

  it('are found in whatever order the lists come, by every image of the name', async () => {
    const { boxes, total } = await read({
      annotations: [
        { image_id: 'b', category_id: 1, bbox: [1, 1, 1, 1] },
        { image_id: 'a', category_id: 1, bbox: [2, 2, 2, 2] },
        { image_id: 'c', category_id: 1, bbox: [3, 3, 3, 3] },
      ],
      images: [
        { id: 'a', file_name: 'first/000001.jpg' },
        { id: 'c', file_name: '000002.jpg' },
        { id: 'b', file_name: 'second/000001.jpg' },
      ],
      categories: [{ id: 1, name: 'dog' }],
    });
    assert.equal(total, 2);
    assert.deepEqual(
      boxes.map(({ box, label }) => [box[0], label]),
      [
        [1, 'dog'],
        [2, 'dog'],
      ],
    );
  });

  it('are read piece by piece: progress is told, and reading can be given up', async () => {
    const file = path.join(folder, 'many.json');
    const annotations = Array.from({ length: 20_000 }, (_, index) => ({
      ...{ id: index, image_id: index % 5_000, bbox: [1, 1, 5, 5], segmentation: [[1, 1, 6, 1, 6, 6, 1, 6]] },
    }));
    await writeFile(file, JSON.stringify({ images: [{ id: 7, file_name: '000001.jpg' }], annotations }));
    const { size } = await stat(file);
    const told: number[] = [];
    const progress = ({ received, total }: TransferProgress): void => {
      assert.equal(total, size);
      told.push(received);
    };
    assert.equal((await readCocoBoxes(file, image, { progress })).total, 4);
    assert.ok(told.length > 0 && told[0]! < size / 2, 'nothing was told before half of the file was read');
    const abort = new AbortController();
    const given = readCocoBoxes(file, image, { signal: abort.signal, progress: () => abort.abort() });
    await assert.rejects(given, { name: 'AbortError' });
  });

  it('are refused with file and annotation when a mask is damaged', async () => {
    const masked = (segmentation: unknown) =>
      read({
        images: [{ id: 1, file_name: '000001.jpg' }],
        annotations: [{ id: 42, image_id: 1, bbox: [1, 2, 9, 9], segmentation }],
      });
    await assert.rejects(masked([[1, 2]]), /annotations\.json: annotation 42: a polygon must be a list/);
    await assert.rejects(masked({ size: [2, 2], counts: [1] }), /annotation 42: .* do not add up/);
    await assert.rejects(masked({ size: [2, 2], counts: '\u0001' }), /annotation 42: .* damaged/);
  });

  it('are refused with the reason', async () => {
    await assert.rejects(read([]), /annotations\.json: it holds no COCO-style annotations/);
    const other = { images: [{ id: 1, file_name: '000002.jpg' }], annotations: [] };
    await assert.rejects(read(other), /does not know the image 000001\.jpg/);
    const known = { images: [{ id: 1, file_name: '000001.jpg' }], annotations: [] };
    await assert.rejects(read(known), /no boxes of the image/);
    await writeFile(
      path.join(folder, 'cut.json'),
      '{"images": [{"id": 1, "file_name": "000001.jpg"}], "annot',
    );
    await assert.rejects(
      readCocoBoxes(path.join(folder, 'cut.json'), image),
      /cut\.json: it is not valid JSON/,
    );
  });
});

describe('the document of an inspector panel', () => {
  it('runs our script alone and connects nowhere', () => {
    const html = panelHtml(
      { name: 'inspector', title: 'CLIPSelf inspector' },
      { nonce: 'n0', cspSource: 'https://x', scriptUri: 'a.js', styleUri: 'a.css' },
    );
    assert.match(html, /<main id="inspector"><\/main>/);
    assert.match(html, /default-src &#39;none&#39;/);
    assert.equal(html.match(/<script/g)?.length, 1);
    assert.doesNotMatch(html, /unsafe|connect-src/);
  });
});
