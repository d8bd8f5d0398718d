import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { calibrate } from '../../trainer/engineChoice/calibration.ts';
import { ChoiceMemory } from '../../trainer/engineChoice/choiceMemory.ts';
import { type ChoiceMeans, type EngineRequest, openEngine } from '../../trainer/engineChoice/openEngine.ts';
import { createEngine, type EngineName } from '../../trainer/engines/createEngine.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import type { VisionArchitecture } from '../../trainer/models/architecture.ts';

const architecture: VisionArchitecture = {
  ...{ kind: 'openclip', name: null, imageSize: 32, patchSize: 8, width: 32, layers: 2, heads: 2 },
  ...{ mlpWidth: 64, embeddingDimension: 16, activation: 'gelu', text: { kind: 'none' } },
};
const request: EngineRequest = { name: 'auto', threads: 1, architecture };

/** A machine whose engines take these seconds; null for one that does not work. */
interface Machine {
  seconds: Readonly<Record<string, number | null>>;
}

describe('the choice of an engine', () => {
  let folder: string;
  let lines: string[];
  let measured: string[];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'clipself-choice-'));
    lines = [];
    measured = [];
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const say = (line: string, remembered: boolean): void => {
    lines.push(`${remembered ? 'again' : 'first'}: ${line}`);
  };

  /** Engines that compute on the CPU under the names of others. */
  function meansOf({ seconds }: Machine): ChoiceMeans {
    return {
      candidates: Object.keys(seconds).filter(name => name !== 'cpu') as EngineName[],
      probe: async engine => ({
        engine,
        works: seconds[engine] !== null,
        detail: seconds[engine] === null ? 'no adapter' : 'a card',
      }),
      create: async name => {
        if (seconds[name] === null) throw new Error(`${name} is broken`);
        return Object.assign(await createEngine('cpu', 1), { name });
      },
      measure: async engine => {
        measured.push(engine.name);
        return seconds[engine.name]!;
      },
      memory: new ChoiceMemory(folder),
      machine: 'a machine',
      decided: undefined,
    };
  }

  async function chosen(machine: Machine, asked = request): Promise<string> {
    const engine: Engine = await openEngine(asked, say, meansOf(machine));
    await engine.dispose();
    return engine.name;
  }

  it('takes the fastest and says what each took', async () => {
    assert.equal(await chosen({ seconds: { cpu: 0.2, webgpu: 0.01 } }), 'webgpu');
    assert.match(
      lines[0]!,
      /^first: engine webgpu, chosen by auto: .*cpu: 200 ms; webgpu: 10\.0 ms; measured \d{4}-/,
    );
    assert.deepEqual(measured, ['cpu', 'webgpu']);
  });

  it('stays on the CPU where the card is slower', async () => {
    assert.equal(await chosen({ seconds: { cpu: 0.001, webgpu: 0.01 } }), 'cpu');
  });

  it('measures nothing where nothing else works, and says why', async () => {
    assert.equal(await chosen({ seconds: { cpu: 1, webgpu: null } }), 'cpu');
    assert.deepEqual(measured, []);
    assert.match(lines[0]!, /^first: engine cpu, chosen by auto: no other works here; webgpu: no adapter/);
  });

  it('says once why an engine does not work', async () => {
    const one = { seconds: { cpu: 1, webgpu: null } };
    await chosen(one);
    await chosen(one);
    assert.equal(
      lines[1],
      'again: engine cpu, chosen by auto: no other works here (clipself doctor says why)',
    );
    const two = { seconds: { cpu: 0.2, webgpu: null, tensorflow: 0.01 } };
    await chosen(two, { ...request, threads: 2 });
    await chosen(two, { ...request, threads: 2 });
    assert.match(lines[2]!, /cpu: 200 ms; tensorflow: 10\.0 ms; measured/);
    assert.match(lines[2]!, /webgpu: no adapter/);
    assert.match(
      lines[3]!,
      /^again: engine tensorflow, .*backward; cpu: 200 ms; tensorflow: 10\.0 ms; measured/,
    );
    assert.doesNotMatch(lines[3]!, /no adapter/);
  });

  it('takes for fp16 an engine that computes in it, and says why not the fastest', async () => {
    const machine = { seconds: { cpu: 0.2, webgpu: 0.01, tensorflow: 0.001 } };
    assert.equal(await chosen(machine), 'tensorflow');
    assert.equal(await chosen(machine, { ...request, precision: 'fp16' }), 'webgpu');
    assert.match(lines[1]!, /^first: engine webgpu.*tensorflow: does not compute in fp16/);
    assert.equal(
      await chosen({ seconds: { cpu: 1, tensorflow: 0.1 } }, { ...request, threads: 2, precision: 'fp16' }),
      'cpu',
    );
    assert.match(lines[2]!, /^first: engine cpu.*no other works here; tensorflow: does not compute in fp16/);
    assert.deepEqual(measured, ['cpu', 'webgpu', 'tensorflow', 'cpu', 'webgpu']);
  });

  it('remembers by model and number of threads', async () => {
    const machine = { seconds: { cpu: 0.2, webgpu: 0.01 } };
    await chosen(machine);
    assert.equal(await chosen(machine), 'webgpu');
    assert.equal(measured.length, 2);
    assert.match(lines[1]!, /^again: engine webgpu/);
    await chosen(machine, { ...request, threads: 2 });
    await chosen(machine, { ...request, architecture: { ...architecture, width: 64 } });
    assert.equal(measured.length, 6);
  });

  it('measures again when what it remembers is old', async () => {
    const machine = { seconds: { cpu: 0.2, webgpu: 0.01 } };
    await chosen(machine);
    const file = path.join(folder, 'choices.json');
    await writeFile(file, (await readFile(file, 'utf8')).replace(/"measured": "\d{4}/, '"measured": "2001'));
    await chosen(machine);
    assert.equal(measured.length, 4);
  });

  it('says so when the engine it remembers is gone, and measures again', async () => {
    await chosen({ seconds: { cpu: 0.2, webgpu: 0.01 } });
    assert.equal(await chosen({ seconds: { cpu: 0.2, webgpu: null } }), 'cpu');
    assert.match(lines[1]!, /^first: engine webgpu worked here before and does not now: webgpu is broken/);
    assert.match(lines[2]!, /^first: engine cpu/);
  });

  it('never takes another engine than the one that was named', async () => {
    const means = meansOf({ seconds: { cpu: 0.2, webgpu: null } });
    await assert.rejects(openEngine({ ...request, name: 'webgpu' }, say, means), /webgpu is broken/);
    assert.deepEqual(lines, []);
  });

  it('passes on what an engine remarks when it starts', async () => {
    const means = meansOf({ seconds: { tensorflow: 0.1 } });
    const create: ChoiceMeans['create'] = async (...which) =>
      Object.assign(await means.create(...which), { remark: 'on the processor' });
    const engine = await openEngine({ ...request, name: 'tensorflow' }, say, { ...means, create });
    await engine.dispose();
    assert.deepEqual(lines, ['first: on the processor']);
  });

  it('leaves the choice to whoever decided for the machine', async () => {
    const means = { ...meansOf({ seconds: { cpu: 0.2, webgpu: 0.01 } }), decided: 'cpu' };
    const engine = await openEngine(request, say, means);
    await engine.dispose();
    assert.equal(engine.name, 'cpu');
    assert.deepEqual(lines, ['again: engine cpu: CLIPSELF_ENGINE says so']);
  });

  it('takes broken memories for none', async () => {
    for (const content of ['{', '[]', 'null', '{"a machine | 1 threads": {"measured": 3}}']) {
      await writeFile(path.join(folder, 'choices.json'), content);
      assert.equal(await new ChoiceMemory(folder).recall('a machine | 1 threads'), null);
    }
    assert.equal(await chosen({ seconds: { cpu: 0.2, webgpu: 0.01 } }), 'webgpu');
  });

  it('times a block of the model on a real engine and leaves nothing behind', async () => {
    const engine = await createEngine('cpu', 1);
    try {
      const seconds = await calibrate(engine, architecture);
      assert.ok(seconds > 0 && seconds < 60, String(seconds));
      assert.deepEqual(engine.live, { tensors: 0, bytes: 0 });
    } finally {
      await engine.dispose();
    }
  });
});
