import assert from 'node:assert/strict';
import { chmod, cp, mkdir, readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import type { HostTensor } from '../../trainer/checkpoints/hostTensor.ts';
import { readJson, writeJson } from '../../trainer/checkpoints/jsonFile.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { summariseRun } from '../../trainer/runs/runSummary.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';
import {
  assertFailure,
  assertRefused,
  assertUntouched,
  escaped,
  lineAbout,
} from '../support/trainerFailures.ts';
import {
  buildTrainer,
  runTrainer,
  startProcess,
  tinyCommand,
  tinyTensors,
  trainerProgram,
  writeTinyImages,
  writeTinyModel,
} from '../support/trainingFixture.ts';

describe('clipself train: what goes wrong', function () {
  this.timeout(60_000);
  let folder: TemporaryFolder;

  before(async () => {
    folder = await temporaryFolder();
    await buildTrainer();
    await writeTinyModel(folder.file('model'));
    await writeTinyImages(folder.file('images'), 8);
    await runToEnd('finished');
  });
  after(() => folder.remove());

  const command = (
    run: string,
    { model = 'model', images = 'images' }: { model?: string; images?: string } = {},
  ) => [
    ...tinyCommand(folder.file(model), folder.file(images), folder.file(run)),
    ...['--epochs', '3', '--checkpoint-every', '2'],
  ];

  async function runToEnd(run: string): Promise<void> {
    const { status, stderr } = await runTrainer(command(run));
    assert.equal(status, 0, stderr);
  }

  const lastEvent = async (run: string) =>
    (await readMetricHistory(runFiles(folder.file(run)).metrics)).events.at(-1)!.event;

  describe('the command line', () => {
    const usage = (args: readonly string[], pattern: RegExp) => assertRefused(args, pattern, 2);

    it('names what is missing, unknown or out of range, with status 2', async () => {
      await usage([], /^clipself: train needs --model, --images and --out, or --resume RUN/);
      await usage(['--nonsense', '1'], /^clipself: Unknown option '--nonsense'/);
      await usage(['images'], /^clipself: Unexpected argument 'images'/);
      await usage(
        [...command('x'), '--seed', '-1'],
        /^clipself: Option '--seed' argument is ambiguous\. Did you/,
      );
      await usage([...command('x'), '--lr', 'abc'], /^clipself: --lr takes a number; got 'abc'/);
      await usage([...command('x'), '--lr', ''], /^clipself: --lr takes a number; got ''/);
      await usage(
        [...command('x'), '--epochs', '0'],
        /^clipself: --epochs takes a whole number from 1 to 100000; got '0'/,
      );
      await usage([...command('x'), '--epochs', '1.5'], /^clipself: --epochs takes a whole number from 1/);
      await usage(
        [...command('x'), '--engine', 'abacus'],
        /^clipself: --engine takes auto, cpu(, \w+)*; got 'abacus'/,
      );
      await usage(
        [...command('x'), '--size', '15'],
        /^clipself: --size takes a whole number from 16 to 8192; got '15'/,
      );
      await usage(
        [...command('x'), '--hold-out', '8'],
        /^clipself: --hold-out 8 leaves none of the 8 images/,
      );
      await usage(
        [...command('x'), '--batch', '9'],
        /images: 8 images to train on .* do not fill one batch of 9/,
      );
      await usage(
        ['--resume', folder.file('x'), '--lr', '1'],
        /^clipself: --resume takes all settings from the run; leave out --lr/,
      );
      assert.ok(!(await readdir(folder.path)).includes('x'), 'a folder was written');
    });

    it('names a command that does not exist', async () => {
      const ended = await startProcess(process.execPath, [trainerProgram, 'tarin']).ended;
      assertFailure(ended, 2, /^clipself: there is no command 'tarin'; 'clipself --help' lists them$/);
    });

    it('refuses a settings file with other content', async () => {
      const file = folder.file('settings.json');
      const withFile = (pattern: RegExp) => assertRefused([...command('x'), '--config', file], pattern);
      await withFile(lineAbout(file, 'cannot read: no such file or folder'));
      await writeFile(file, '{"size": 32,');
      await withFile(lineAbout(file, 'it is not valid JSON'));
      await writeFile(file, '[32]');
      await withFile(lineAbout(file, 'it holds no JSON object'));
      for (const content of [{ sise: 32 }, { size: '32' }, { model: null }, { toString: 1 }]) {
        await writeJson(file, content);
        await withFile(
          lineAbout(file, `'${Object.keys(content)[0]}' is no setting, or has the wrong type\\. Use`),
        );
      }
    });
  });

  describe('the model', () => {
    const withModel = (model: string, pattern: RegExp) => assertRefused(command('x', { model }), pattern);

    it('is missing', async () => {
      await withModel(
        'nowhere',
        lineAbout(folder.file('nowhere'), 'cannot read: no such file or folder \\(ENOENT\\)\\. Check'),
      );
      await mkdir(folder.file('hollow'));
      await withModel(
        'hollow',
        lineAbout(folder.file('hollow'), 'it holds no \\.safetensors weights and no PyTorch file\\. '),
      );
    });

    it('is cut off', async () => {
      await cp(folder.file('model'), folder.file('cut'), { recursive: true });
      const weights = folder.file('cut/open_clip_model.safetensors');
      await truncate(weights, 100_000);
      await withModel('cut', lineAbout(weights, 'not a valid safetensors file: '));
      await truncate(weights, 4);
      await withModel('cut', lineAbout(weights, 'not a valid safetensors file: 4 bytes are too few'));
    });

    it('has other shapes than its configuration says', async () => {
      await cp(folder.file('model'), folder.file('other'), { recursive: true });
      const configuration = folder.file('other/open_clip_config.json');
      const content = await readFile(configuration, 'utf8');
      await writeFile(configuration, content.replace(/"width": 32/, '"width": 64'));
      await withModel(
        'other',
        lineAbout(folder.file('other/open_clip_model.safetensors'), '.*(shape|\\[).*64'),
      );
    });

    it('bears the name of a PyTorch file only', async () => {
      await writeFile(folder.file('weights.pt'), 'PK');
      await withModel(
        'weights.pt',
        lineAbout(folder.file('weights.pt'), 'not a valid PyTorch file: it is not a zip archive\\. '),
      );
    });

    it('holds NaN: the run fails before its first step', async () => {
      const tensors = new Map<string, HostTensor>(tinyTensors());
      tensors.get('visual.proj')!.data[7] = Number.NaN;
      await writeTinyModel(folder.file('spoilt'), tensors);
      const ended = await runTrainer(command('nan', { model: 'spoilt' }));
      assertFailure(
        ended,
        1,
        /^clipself: .*open_clip_model\.safetensors: tensor 'visual\.proj' holds NaN at element 7, so every feature/,
      );
      const { kind, message } = await lastEvent('nan');
      assert.deepEqual(
        [kind, `clipself: ${message}\n`],
        ['failed', ended.stderr.slice(ended.stderr.lastIndexOf('clipself: '))],
      );
      const { state } = await summariseRun(folder.file('nan'));
      assert.equal(state, 'failed');
      const log = await readFile(runFiles(folder.file('nan')).log, 'utf8');
      assert.equal(log.match(/\[error\]/g)?.length, 1, log);
    });
  });

  describe('the images', () => {
    const withImages = (images: string, pattern: RegExp) => assertRefused(command('x', { images }), pattern);

    it('are missing', async () => {
      await withImages(
        'nowhere',
        new RegExp(`^clipself: No such image folder: ${escaped(folder.file('nowhere'))}$`),
      );
      await mkdir(folder.file('empty'));
      await withImages(
        'empty',
        new RegExp(`^clipself: No images in ${escaped(folder.file('empty'))}: add JPEG or PNG`),
      );
    });

    it('are all unreadable: the run says so and is marked as failed', async () => {
      await mkdir(folder.file('corrupt'));
      for (let index = 0; index < 12; index++)
        await writeFile(folder.file(`corrupt/${index}.png`), 'no image');
      const ended = await runTrainer(command('unreadable', { images: 'corrupt' }));
      assertFailure(
        ended,
        1,
        /^clipself: None of the 11 images can be used for training; .*corrupt\/\d+\.png: /,
      );
      const { state, message } = await summariseRun(folder.file('unreadable'));
      assert.equal(state, 'failed');
      assert.match(message!, /^None of the 11 images/);
    });

    it('are others than when the run began', async () => {
      await cp(folder.file('images'), folder.file('more'), { recursive: true });
      const args = command('grown', { images: 'more' });
      assert.equal((await runTrainer(args)).status, 0);
      for (const name of ['a', 'b', 'c'])
        await cp(folder.file('more/image-00.png'), folder.file(`more/${name}.png`));
      await assertUntouched(folder.file('grown'), () =>
        assertRefused(
          args,
          lineAbout(
            folder.file('more'),
            'it holds 11 images where the run began with 8\\. Restore the images',
          ),
        ),
      );
    });
  });

  describe('the run directory', () => {
    it('is a file or lies beneath one', async () => {
      await writeFile(folder.file('file'), 'mine');
      await assertRefused(command('file'), lineAbout(folder.file('file'), 'cannot write: '));
      await assertRefused(
        command('file/run'),
        lineAbout(folder.file('file/run'), 'cannot write: a part of the path is a file'),
      );
      assert.equal(await readFile(folder.file('file'), 'utf8'), 'mine');
    });

    it('holds other things', async () => {
      await mkdir(folder.file('thesis'));
      await writeFile(folder.file('thesis/chapter.tex'), '');
      await assertRefused(
        command('thesis'),
        lineAbout(
          folder.file('thesis'),
          'it holds no run but other files \\(chapter\\.tex\\)\\. Choose a new or empty folder',
        ),
      );
      assert.deepEqual(await readdir(folder.file('thesis')), ['chapter.tex']);
    });

    it('cannot be written', async () => {
      if (process.platform === 'linux')
        await assertRefused(
          [...command('x'), '--out', '/proc/run'],
          /^clipself: \/proc\/run: cannot write: /,
        );
      if (process.getuid?.() === 0) return;
      await mkdir(folder.file('locked'));
      await chmod(folder.file('locked'), 0o500);
      await assertRefused(
        command('locked/run'),
        lineAbout(folder.file('locked/run'), 'cannot write: permission denied'),
      );
    });

    it('has no run to resume', async () => {
      await mkdir(folder.file('blank'));
      await assertRefused(
        ['--resume', folder.file('blank')],
        lineAbout(folder.file('blank/config.json'), 'cannot read: no such file or folder'),
      );
      assert.deepEqual(await readdir(folder.file('blank')), []);
    });

    it('holds a run with other settings', async () => {
      await assertUntouched(folder.file('finished'), async () => {
        await assertRefused(
          [...command('finished'), '--lr', '0.01', '--seed', '9'],
          lineAbout(
            folder.file('finished'),
            'it holds a run with other settings: learningRate is 0\\.001 there and 0\\.01 now; seed is 0 there and 9 now\\. Train',
          ),
        );
      });
      await writeTinyModel(
        folder.file('twin'),
        new Map([...tinyTensors(), ['extra', tinyTensors().get('logit_scale')!]]),
      );
      await assertRefused(
        command('finished', { model: 'twin' }),
        lineAbout(folder.file('finished'), 'it holds a run with other settings: modelHash is'),
      );
    });

    it('has a damaged config.json', async () => {
      await cp(folder.file('finished'), folder.file('damaged'), { recursive: true });
      const { configuration } = runFiles(folder.file('damaged'));
      const content = (await readJson(configuration)) as { settings: Record<string, unknown> };
      delete content.settings.size;
      await writeJson(configuration, content);
      await assertUntouched(folder.file('damaged'), () =>
        assertRefused(
          ['--resume', folder.file('damaged')],
          lineAbout(configuration, 'settings\\.size must be a finite number'),
        ),
      );
    });
  });
});
