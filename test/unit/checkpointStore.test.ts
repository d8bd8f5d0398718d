import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FileError } from '../../trainer/checkpoints/fileError.ts';
import { readSafetensors, writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { CheckpointStore } from '../../trainer/runs/checkpointStore.ts';
import { skipBecause } from '../support/skip.ts';

const repository = fileURLToPath(new URL('../..', import.meta.url));
const moduleUrl = (name: string) => JSON.stringify(new URL(`../../trainer/${name}`, import.meta.url).href);
/** Arguments that run TypeScript modules of the trainer from a script in another process. */
const nodeArguments = (script: string) => ['--import', 'tsx', '--input-type=module', '-e', script];

/** Lets a command mount file systems of its own, unseen by everything else; false where that is not permitted. */
function canMount(): boolean {
  return (
    process.platform === 'linux' &&
    spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
  );
}

describe('checkpoint store', () => {
  let folder: string;
  let warnings: string[];
  let store: CheckpointStore;

  beforeEach(async () => {
    folder = path.join(await mkdtemp(path.join(os.tmpdir(), 'run-')), 'checkpoints');
    warnings = [];
    store = new CheckpointStore(folder, 2, message => warnings.push(message));
  });

  afterEach(() => rm(path.dirname(folder), { recursive: true, force: true }));

  /** Writes two files whose content tells the step. */
  const content = (step: number) => async (directory: string) => {
    const data = new Float32Array(1000).fill(step);
    await writeSafetensors(path.join(directory, 'student.safetensors'), {
      a: { shape: [1000], dtype: 'float32', data },
    });
    await writeFile(path.join(directory, 'sampler.json'), JSON.stringify({ step }));
  };
  const stepOf = async (directory: string) =>
    JSON.parse(await readFile(path.join(directory, 'sampler.json'), 'utf8')).step;

  it('saves under the step and keeps the latest', async () => {
    assert.equal(await store.latest(), null);
    for (const step of [5, 100, 20_000]) await store.save(step, content(step));
    assert.deepEqual((await readdir(folder)).sort(), ['step-00000100', 'step-00020000']);
    const latest = await store.latest();
    assert.deepEqual(latest, { step: 20_000, directory: path.join(folder, 'step-00020000') });
    assert.equal(await stepOf(latest.directory), 20_000);
    const manifest = JSON.parse(await readFile(path.join(latest.directory, 'state.json'), 'utf8'));
    assert.deepEqual(manifest.files.map((file: { name: string }) => file.name).sort(), [
      'sampler.json',
      'student.safetensors',
    ]);
    assert.deepEqual(warnings, []);
  });

  it('replaces a checkpoint of the same step', async () => {
    await store.save(3, content(3));
    await store.save(3, content(4));
    assert.deepEqual(await readdir(folder), ['step-00000003']);
    assert.equal(await stepOf((await store.latest())!.directory), 4);
  });

  const damages: [what: string, damage: (directory: string) => Promise<void>, warning: RegExp][] = [
    [
      'a shortened file',
      directory => truncate(path.join(directory, 'student.safetensors'), 100),
      /student\.safetensors has 100 bytes/,
    ],
    ['a missing file', directory => rm(path.join(directory, 'sampler.json')), /sampler\.json has no bytes/],
    ['no manifest', directory => rm(path.join(directory, 'state.json')), /state\.json: cannot read.*ENOENT/],
    [
      'a broken manifest',
      directory => writeFile(path.join(directory, 'state.json'), '{"sch'),
      /not valid JSON/,
    ],
    [
      'a foreign manifest',
      directory => writeFile(path.join(directory, 'state.json'), '{"schema":1,"step":7}'),
      /does not describe step 20/,
    ],
    [
      'a link instead of a file',
      async directory => {
        await rename(path.join(directory, 'sampler.json'), path.join(folder, 'elsewhere'));
        await symlink(path.join(folder, 'elsewhere'), path.join(directory, 'sampler.json'));
      },
      /not a plain file/,
    ],
  ];
  for (const [what, damage, warning] of damages) {
    it(`falls back to the checkpoint before one with ${what}`, async () => {
      await store.save(10, content(10));
      await store.save(20, content(20));
      await damage(path.join(folder, 'step-00000020'));
      assert.equal((await store.latest())!.step, 10);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0]!, warning);
      // The next save clears the damaged one away instead of counting it.
      await store.save(15, content(15));
      assert.deepEqual((await readdir(folder)).filter(name => name.startsWith('step')).sort(), [
        'step-00000010',
        'step-00000015',
      ]);
    });
  }

  it('ignores and clears what killed trainers left, and brings back a checkpoint that was being replaced', async () => {
    await store.save(10, content(10));
    await mkdir(path.join(folder, '.step-00000020.tmp-12345'));
    await writeFile(path.join(folder, '.step-00000020.tmp-12345', 'student.safetensors'), 'half');
    await cp(path.join(folder, 'step-00000010'), path.join(folder, '.step-00000015.old-12345'), {
      recursive: true,
    });
    await cp(path.join(folder, 'step-00000010'), path.join(folder, '.step-00000010.old-12345'), {
      recursive: true,
    });
    await writeFile(path.join(folder, 'notes.txt'), "the user's own");
    assert.equal((await store.latest())!.step, 10);
    await store.cleanUp();
    assert.deepEqual((await readdir(folder)).sort(), ['notes.txt', 'step-00000010', 'step-00000015']);
  });

  it('does not let a failed save harm earlier checkpoints', async () => {
    await store.save(10, content(10));
    const failing = store.save(20, async directory => {
      await content(20)(directory);
      throw new Error('the loss is not a number');
    });
    await assert.rejects(failing, /the loss is not a number/);
    assert.deepEqual(await readdir(folder), ['step-00000010']);
    assert.equal(await stepOf((await store.latest())!.directory), 10);
  });

  it('reports a full device as one clear error', async function () {
    if (process.platform !== 'linux') skipBecause(this, 'it needs Linux');
    await store.save(10, content(10));
    const failing = store.save(20, directory => writeFile(path.join(directory, '..', '..', 'full'), 'x'));
    await symlink('/dev/full', path.join(folder, '..', 'full'));
    await assert.rejects(failing, (error: unknown) => {
      assert.ok(error instanceof FileError);
      assert.match(
        error.message,
        /step-00000020: cannot write: the disk is full \(ENOSPC\)\. Free some space/,
      );
      return true;
    });
    assert.deepEqual(await readdir(folder), ['step-00000010']);
  });

  it('keeps the earlier checkpoint on a disk that is really full', function () {
    this.timeout(20_000);
    if (!canMount()) skipBecause(this, 'mounting a small disk (unshare -rm) is not permitted here');
    const script = `
      const { CheckpointStore } = await import(${moduleUrl('runs/checkpointStore.ts')});
      const { writeSafetensors } = await import(${moduleUrl('checkpoints/safetensors.ts')});
      const { readdirSync } = await import('node:fs');
      const store = new CheckpointStore('/mnt/checkpoints', 3, () => {});
      const save = step => store.save(step, directory => {
        const tensor = { shape: [100_000], dtype: 'float32', data: new Float32Array(100_000) };
        return writeSafetensors(directory + '/student.safetensors', { tensor });
      });
      await save(1);
      await save(2);
      const error = await save(3).then(() => null, error => error);
      const latest = await store.latest();
      console.log(JSON.stringify({ message: error?.message, latest: latest.step, names: readdirSync('/mnt/checkpoints') }));
    `;
    const command = 'mount -t tmpfs -o size=1m none /mnt && exec "$@"';
    const output = execFileSync(
      'unshare',
      ['-rm', 'sh', '-c', command, 'sh', process.execPath, ...nodeArguments(script)],
      { cwd: repository },
    );
    const result = JSON.parse(output.toString());
    assert.match(
      result.message,
      /^\/mnt\/checkpoints\/\S+student\.safetensors: cannot write: the disk is full \(ENOSPC\)/,
    );
    assert.deepEqual([result.latest, result.names.sort()], [2, ['step-00000001', 'step-00000002']]);
  });

  it('reports a read-only file system and a file in the way', async function () {
    this.timeout(20_000);
    await writeFile(path.join(folder, '..', 'file'), '');
    const blocked = new CheckpointStore(path.join(folder, '..', 'file', 'checkpoints'), 1, () => undefined);
    await assert.rejects(
      blocked.save(1, content(1)),
      /a part of the path is a file, not a folder \(ENOTDIR\)/,
    );
    if (!canMount()) skipBecause(this, 'mounting a small disk (unshare -rm) is not permitted here');
    const script = `
      const { CheckpointStore } = await import(${moduleUrl('runs/checkpointStore.ts')});
      await new CheckpointStore('/mnt/checkpoints', 3, () => {}).save(1, async () => {}).catch(error => console.log(error.message));
    `;
    const command = 'mount -t tmpfs -o ro none /mnt && exec "$@"';
    const output = execFileSync(
      'unshare',
      ['-rm', 'sh', '-c', command, 'sh', process.execPath, ...nodeArguments(script)],
      { cwd: repository },
    );
    assert.match(output.toString(), /cannot write: the file system is read-only \(EROFS\)\. Choose a folder/);
  });

  it('leaves a complete checkpoint whenever it is killed', async function () {
    this.timeout(90_000);
    const script = `
      const { CheckpointStore } = await import(${moduleUrl('runs/checkpointStore.ts')});
      const { writeSafetensors } = await import(${moduleUrl('checkpoints/safetensors.ts')});
      const store = new CheckpointStore(${JSON.stringify(folder)}, 2, () => {});
      await store.cleanUp();
      for (let step = ((await store.latest())?.step ?? 0) + 1; ; step++) {
        await store.save(step, async directory => {
          const tensor = { shape: [200_000], dtype: 'float32', data: new Float32Array(200_000).fill(step) };
          await writeSafetensors(directory + '/student.safetensors', { tensor });
          await writeSafetensors(directory + '/optimiser.safetensors', { tensor });
        });
        process.stdout.write('saved ' + step + '\\n');
      }
    `;
    let before = 0;
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, nodeArguments(script), {
        cwd: repository,
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let output = '';
      child.stdout.on('data', (data: Buffer) => {
        output += data.toString();
      });
      await once(child.stdout, 'data');
      await delay(Math.random() * 40);
      child.kill('SIGKILL');
      await once(child, 'close');
      const reported = Number(/saved (\d+)\n$/.exec(output)![1]);
      const latest = (await store.latest())!;
      assert.ok(latest.step >= reported, `step ${reported} was saved, but ${latest.step} is the latest`);
      assert.ok(latest.step > before);
      before = latest.step;
      for (const name of ['student', 'optimiser']) {
        const { tensors } = await readSafetensors(path.join(latest.directory, `${name}.safetensors`));
        const data = tensors.get('tensor')!.data as Float32Array;
        assert.ok(data.every(value => value === latest.step));
      }
    }
    assert.deepEqual(
      warnings.filter(message => !/is damaged/.test(message)),
      [],
    );
  });

  it('refuses to keep none and steps that are not whole', async () => {
    assert.throws(() => new CheckpointStore(folder, 0, () => undefined), RangeError);
    await assert.rejects(store.save(1.5, content(1)), RangeError);
  });
});
