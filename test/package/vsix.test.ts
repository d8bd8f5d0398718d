import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, readdir, readFile, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { promisify } from 'node:util';
import { packageExtension, packagingProblem, unpackVsix } from '../support/packagedExtension.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import { buildTrainer, trainerProgram } from '../support/trainingFixture.ts';

const run = promisify(execFile);

/** Every path below `media/` or `dist/` that the manifest names. */
function filesNamed(value: unknown): string[] {
  if (typeof value === 'string') return /^(\.\/)?(media|dist)\/[\w./-]+$/.test(value) ? [value] : [];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(filesNamed) : [];
}

describe('the VSIX, unpacked away from the clone', function () {
  this.timeout(300_000);
  let folder: TemporaryFolder;
  let extension: string;
  let printed: string;

  before(async function () {
    const problem = packagingProblem();
    if (problem !== null) skipBecause(this, problem);
    folder = await temporaryFolder();
    printed = await packageExtension(folder.file('clipself-lab.vsix'));
    extension = folder.file('unpacked');
    await unpackVsix(folder.file('clipself-lab.vsix'), extension);
  });
  after(() => folder?.remove());

  const inExtension = (...names: string[]): string => path.join(extension, ...names);
  const clipself = async (...args: string[]): Promise<Record<string, unknown>> => {
    const { stdout } = await run(
      process.execPath,
      [inExtension('dist/trainer/cli.js'), ...args, '--json', '--engine', 'cpu'],
      { cwd: folder.path },
    );
    return JSON.parse(stdout);
  };
  const demo = (...names: string[]): string => inExtension('media/demo', ...names);

  it('holds every file that its manifest names, and nothing for developers', async () => {
    const manifest = JSON.parse(await readFile(inExtension('package.json'), 'utf8'));
    const files = filesNamed(manifest);
    assert.ok(files.length > 7, files.join(' '));
    for (const file of files) await stat(inExtension(file));
    for (const field of ['scripts', 'dependencies', 'devDependencies'])
      assert.ok(!(field in manifest), field);
    const suffixes = new Set((await readdir(extension, { recursive: true })).map(name => path.extname(name)));
    for (const suffix of ['.ts', '.map', '.cc', '.h']) assert.ok(!suffixes.has(suffix), suffix);
  });

  it('stays below 60 MB, and its parts are reported', async () => {
    assert.ok((await stat(folder.file('clipself-lab.vsix'))).size < 60e6);
    assert.match(printed, /^onnxruntime-node +\d+ +[\d.]+ +[\d.]+$/m);
    assert.match(printed, /^all +\d+ +[\d.]+ +[\d.]+$/m);
  });

  it('names every package beside its bundles in the notices, and those within them', async () => {
    const notices = await readFile(inExtension('THIRD-PARTY-NOTICES.txt'), 'utf8');
    const packages = inExtension('dist/node_modules');
    const names = await readdir(packages);
    const scoped = names.filter(name => name.startsWith('@'));
    const inScopes = await Promise.all(
      scoped.map(async scope => (await readdir(path.join(packages, scope))).map(name => `${scope}/${name}`)),
    );
    const shipped = [...names.filter(name => !scoped.includes(name)), ...inScopes.flat()];
    for (const name of [...shipped, 'chart.js', '@vscode/webview-ui-toolkit', 'protobufjs', 'yauzl']) {
      assert.ok(
        notices.split('\n').some(line => line.startsWith(`${name} `)),
        name,
      );
    }
    // Of a package that is used for its types alone, or to test, there is nothing in the VSIX.
    assert.doesNotMatch(notices, /^(mocha|typescript|esbuild|@types\/\S+) /m);
  });

  it('computes the same dense features as the clone', async () => {
    await buildTrainer();
    const command = (out: string): string[] => [
      ...['features', '--model', demo('model'), '--image', demo('images/scene-07.jpg')],
      ...['--size', '96', '--out', folder.file(out)],
    ];
    const { rows, columns } = await clipself(...command('packaged.safetensors'));
    assert.deepEqual([rows, columns], [12, 12]);
    await run(process.execPath, [trainerProgram, ...command('clone.safetensors'), '--engine', 'cpu']);
    const [packaged, clone] = await Promise.all(
      ['packaged', 'clone'].map(name => readFile(folder.file(`${name}.safetensors`))),
    );
    assert.ok(packaged!.equals(clone!));
  });

  it('fine-tunes the model it ships, with the threads of loading and evaluation', async () => {
    await cp(demo('workspace'), folder.file('workspace'), { recursive: true });
    const evaluation = (name: string): string => folder.file(`workspace/evaluation/${name}`);
    const outcome = await clipself(
      ...['train', '--model', demo('model'), '--images', folder.file('workspace/scenes')],
      ...['--out', folder.file('run'), '--size', '96', '--max-split', '2', '--epochs', '1', '--batch', '32'],
      ...['--hold-out', '32', '--evaluate-panoptic', evaluation('panoptic.json')],
      ...['--evaluate-images', evaluation('images'), '--evaluate-masks', evaluation('panoptic')],
      ...['--evaluate-limit', '2'],
    );
    assert.equal(outcome.state, 'finished');
    assert.equal(outcome.step, 4);
    assert.ok((await stat(folder.file('run/student.safetensors'))).size > 0);
    const picture = folder.file('clusters.png');
    await clipself(
      ...['kmeans', '--model', folder.file('run'), '--image', demo('images/scene-07.jpg')],
      ...['--k', '6', '--out', picture],
    );
    assert.ok((await stat(picture)).size > 0);
  });

  it('loads the library through which ranks call MPI', () => {
    const koffi = createRequire(inExtension('dist/trainer/cli.js'))('koffi');
    assert.equal(koffi.sizeof('int'), 4);
  });
});
