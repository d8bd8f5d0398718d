import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { resumeArguments } from '../../extension/commandLine.ts';
import { readCheckpoint } from '../../trainer/checkpoints/checkpoint.ts';
import { hashFile, resolveModel } from '../../trainer/checkpoints/modelFiles.ts';
import { writeSafetensors } from '../../trainer/checkpoints/safetensors.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { resolveReference } from '../../trainer/inspect/modelReference.ts';
import { pretrain } from '../../trainer/pretrain/pretrain.ts';
import { resolvePretrainModel } from '../../trainer/pretrain/pretrainModel.ts';
import type { PretrainSettings } from '../../trainer/protocol.ts';
import { readMetricHistory } from '../../trainer/runs/metrics.ts';
import { readAnyConfiguration, readPretrainConfiguration } from '../../trainer/runs/pretrainConfiguration.ts';
import { readRunConfiguration } from '../../trainer/runs/runConfiguration.ts';
import { runFiles } from '../../trainer/runs/runDirectory.ts';
import { RunLog } from '../../trainer/runs/runLog.ts';
import { findRuns, summariseRun } from '../../trainer/runs/runSummary.ts';
import { StopSwitch } from '../../trainer/server.ts';
import { findTextSource, PromptEncoder } from '../../trainer/text/promptEncoder.ts';
import { styleNames } from '../../trainer/world/styles.ts';
import { configurationSections } from '../../webview/training/configurationRows.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const description = {
  model_cfg: {
    embed_dim: 24,
    vision_cfg: { image_size: 16, layers: 1, width: 32, head_width: 16, patch_size: 8 },
    text_cfg: { context_length: 16, vocab_size: 700, width: 32, heads: 2, layers: 1 },
  },
};

describe('pre-training', function () {
  this.timeout(120_000);
  let folder: TemporaryFolder;
  let request: Partial<PretrainSettings>;
  before(async () => {
    folder = await temporaryFolder();
    await writeFile(folder.file('tower.json'), JSON.stringify(description));
    request = {
      arch: folder.file('tower.json'),
      ...{ styles: 'noto', sceneSize: 64, batch: 24, steps: 6, stepsPerEpoch: 4, warmup: 2 },
      ...{ evaluationCrops: 64, threads: 1, seed: 5 },
    };
  });
  after(() => folder.remove());

  /** Runs until the end, or until after the step named. */
  const run = (
    name: string,
    stopAfter: number | null,
    settings: Partial<PretrainSettings> | null = request,
    workers = 1,
  ) => {
    const stop = new StopSwitch();
    const write = (text: string): void => {
      if (text.includes(`step ${stopAfter}/`)) stop.request();
    };
    const log = new RunLog({ write, isTTY: true, columns: 200 });
    return pretrain(folder.file(name), settings, log, stop, workers);
  };
  const weightsHash = async (name: string): Promise<string> => {
    const file = path.join(folder.file(name), 'open_clip_model.safetensors');
    return createHash('sha256')
      .update(await readFile(file))
      .digest('hex');
  };

  it('records steps and evaluations, and leaves a model folder', async () => {
    const outcome = await run('whole', null);
    assert.equal(outcome.state, 'finished');
    assert.equal(outcome.step, 6);
    const history = await readMetricHistory(runFiles(folder.file('whole')).metrics);
    assert.deepEqual(
      history.steps.map(({ step }) => step),
      [1, 2, 3, 4, 5, 6],
    );
    assert.ok(Math.abs(history.steps[0]!.loss - Math.log(24)) < 1.5);
    assert.deepEqual(
      history.steps.map(({ lr }) => lr > 0),
      [true, true, true, true, true, true],
    );
    assert.deepEqual(
      history.evaluations.map(record => record.eval.step),
      [0, 4, 6],
    );
    for (const { eval: scores } of history.evaluations) {
      for (const style of styleNames) assert.ok(scores[`zeroShot.${style}`]! >= 0);
      assert.equal(scores['zeroShot.trained'], scores['zeroShot.noto']);
    }
    const files = await resolveModel(folder.file('whole'), null);
    assert.equal(files.architecture.imageSize, 16);
    const engine = new OnnxRuntimeCpuEngine(1);
    const encoder = await PromptEncoder.open(engine, await findTextSource(files));
    const { words } = await resolvePretrainModel(request.arch!);
    assert.deepEqual(encoder.tokens(words.prompts[3]![7]!), words.tokens(3, 7));
    assert.equal((await encoder.embed(['This is a photo of a cat.'])).length, 24);
    await encoder.dispose();
    await engine.dispose();
  });

  it('goes on after a stop to the same bits, with another number of workers', async () => {
    const stopped = await run('parts', 3);
    assert.deepEqual([stopped.state, stopped.step], ['stopped', 3]);
    const directory = folder.file('parts');
    assert.deepEqual(await resumeArguments(directory), ['pretrain', '--resume', directory]);
    assert.deepEqual(await resumeArguments(folder.file('none')), ['train', '--resume', folder.file('none')]);
    const outcome = await run('parts', null, null, 3);
    assert.deepEqual([outcome.state, outcome.step], ['finished', 6]);
    assert.equal(await weightsHash('parts'), await weightsHash('whole'));
    const losses = async (name: string) =>
      (await readMetricHistory(runFiles(folder.file(name)).metrics)).steps.map(({ loss }) => loss);
    assert.deepEqual(await losses('parts'), await losses('whole'));
  });

  it('starts from the weights of another run, in groups, and says what it started from', async () => {
    const settings = { ...request, from: folder.file('whole'), groups: 2, steps: 2, learningRate: 0 };
    await run('from', null, settings);
    const { tensors: before } = await readCheckpoint(folder.file('whole'));
    const { tensors: after } = await readCheckpoint(folder.file('from'));
    for (const [name, { data }] of before) assert.deepEqual(after.get(name)!.data, data, name);
    const weights = path.join(folder.file('whole'), 'open_clip_model.safetensors');
    const configuration = await readPretrainConfiguration(runFiles(folder.file('from')).configuration);
    assert.equal(configuration.startHash, await hashFile(weights));
    assert.deepEqual(configuration.imageCount.training, 2 * 2 * 24);
    const scores = async (name: string) =>
      (await readMetricHistory(runFiles(folder.file(name)).metrics)).evaluations.map(
        ({ eval: record }) => record,
      );
    assert.equal(
      (await scores('from'))[0]!['zeroShot.noto'],
      (await scores('whole')).at(-1)!['zeroShot.noto'],
    );
    await assert.rejects(
      run('other', null, { ...settings, arch: null }),
      /has no 'visual.conv1.weight' of shape \[128, 3, 8, 8\].*leave out --from/s,
    );
    // --arch says what is trained, not what it starts from: weights alone must do.
    const bare = folder.file('bare.safetensors');
    await writeSafetensors(bare, before);
    await assert.rejects(
      run('other', null, { ...settings, arch: null, from: bare }),
      /bare\.safetensors: it has no 'visual.conv1.weight' of shape \[128, 3, 8, 8\].*leave out --from/s,
    );
  });

  it('goes on after a stop to the same bits in groups, from a start that has gone', async () => {
    const start = folder.file('start');
    await cp(folder.file('whole'), start, { recursive: true });
    const settings = { ...request, from: start, groups: 2, steps: 3 };
    await run('groups', null, settings);
    await run('groups in parts', 2, settings);
    await rm(start, { recursive: true });
    await run('groups in parts', null, null, 2);
    assert.equal(await weightsHash('groups in parts'), await weightsHash('groups'));
  });

  it('another seed gives another model', async () => {
    await run('seed', null, { ...request, seed: 6, steps: 1 });
    assert.notEqual(await weightsHash('seed'), await weightsHash('whole'));
  });

  it('is seen by the run list, and its directory is a model to everything else', async () => {
    const directory = folder.file('whole');
    const summary = await summariseRun(directory);
    assert.deepEqual(
      [summary.state, summary.step, summary.totalSteps, summary.epochs],
      ['finished', 6, 6, 2],
    );
    assert.ok((await findRuns(folder.path)).includes(directory));
    const hashes = { of: async (file: string) => file };
    const reference = { path: directory, arch: null, step: null, blend: null };
    assert.equal((await resolveReference(reference, hashes)).files.architecture.imageSize, 16);
    await assert.rejects(readRunConfiguration(runFiles(directory).configuration), /describes a pre-training/);
  });

  it('is described in the training panel', async () => {
    const configuration = await readAnyConfiguration(runFiles(folder.file('whole')).configuration);
    const rows = configurationSections(configuration).flatMap(section => section.rows);
    const values = new Map(rows.map(({ label, value }) => [label, value]));
    assert.equal(values.get('Styles'), 'noto');
    assert.equal(values.get('Total steps'), '6');
  });

  it('refuses other settings for a run that is there, and settings out of range, before anything is written', async () => {
    await assert.rejects(
      run('whole', null, { ...request, learningRate: 1 }),
      /learningRate is 0.0015 there and 1 now/,
    );
    await assert.rejects(run('new', null, { ...request, batch: 1 }), /--batch takes a whole number from 2/);
    await assert.rejects(
      run('new', null, { ...request, styles: 'noto,crayon' }),
      /--styles takes .*got 'crayon'/,
    );
    await writeFile(folder.file('small.json'), JSON.stringify(description).replace('700', '300'));
    await assert.rejects(
      run('new', null, { ...request, arch: folder.file('small.json') }),
      /vocab_size \(300\)/,
    );
    await assert.rejects(readFile(folder.file('new')), { code: 'ENOENT' });
  });
});
