import assert from 'node:assert/strict';
import type { HostData } from '../../trainer/engines/engine.ts';
import { OnnxRuntimeCpuEngine } from '../../trainer/engines/onnx/onnxRuntimeCpu.ts';
import { l2Normalise } from '../../trainer/graph/functions.ts';
import { lossGradients } from '../../trainer/graph/gradients.ts';
import { multiply } from '../../trainer/graph/operations/arithmetic.ts';
import { total } from '../../trainer/graph/operations/reduction.ts';
import { sizeOf } from '../../trainer/graph/shape.ts';
import { Value } from '../../trainer/graph/value.ts';
import { joinStages } from '../../trainer/models/joinStages.ts';
import {
  causalInput,
  causalMask,
  endsInput,
  type TextModel,
  textStages,
} from '../../trainer/models/textStages.ts';
import { keyedRandom } from '../../trainer/random.ts';
import { runGraph } from '../support/runGraph.ts';

const model: TextModel = {
  architecture: {
    ...{ kind: 'clip', contextLength: 6, vocabularySize: 9, width: 8, heads: 2, layers: 2 },
    ...{ mlpWidth: 16, endOfText: null },
  },
  prefix: 'text.',
  activation: 'gelu',
  embeddingDimension: 5,
};
const batch = { texts: 3, tokens: 5 };

describe('gradients of the text tower', () => {
  const engine = new OnnxRuntimeCpuEngine(1);
  after(() => engine.dispose());

  it('agree with differences for every parameter, token embeddings among them', async () => {
    const ids = Value.input('ids', [batch.texts * batch.tokens], 'int32');
    const { output, inputs } = joinStages(textStages(model, batch), ids);
    const weights = Value.input('weights', output.shape);
    const loss = total(multiply(l2Normalise(output), weights));
    const names = [...inputs.keys()].filter(name => name !== causalInput && name !== endsInput);
    assert.equal(names.length, 2 + 2 * 12 + 3);
    const random = keyedRandom(5, 'text gradients');
    const draw = (shape: readonly number[], spread: number): Float32Array =>
      Float32Array.from({ length: sizeOf(shape) }, () => spread * (2 * random.float() - 1));
    const feeds: Record<string, HostData> = {
      ids: Int32Array.of(7, 1, 2, 8, 0, 7, 3, 8, 0, 0, 7, 1, 1, 4, 8),
      weights: draw(weights.shape, 1),
      [causalInput]: causalMask(batch.tokens),
      [endsInput]: Int32Array.of(3, 7, 14),
    };
    for (const name of names) feeds[name] = draw(inputs.get(name)!.shape, 1);

    const found = lossGradients(
      loss,
      names.map(name => inputs.get(name)!),
    );
    const outputs = Object.fromEntries(names.map((name, index) => [name, found[index]!]));
    const gradients = await runGraph(engine, outputs, feeds);
    const lossAt = async (changed: Record<string, HostData>): Promise<number> =>
      (await runGraph(engine, { loss }, { ...feeds, ...changed })).loss![0]!;
    const step = 4e-3;
    for (const name of names) {
      const own = feeds[name]!;
      const direction = draw(inputs.get(name)!.shape, 1 / Math.sqrt(own.length));
      const moved = (sign: number) => own.map((value, index) => value + sign * step * direction[index]!);
      const [above, below] = [await lossAt({ [name]: moved(1) }), await lossAt({ [name]: moved(-1) })];
      const difference = (above - below) / (2 * step);
      const slope = direction.reduce((sum, value, index) => sum + value * gradients[name]![index]!, 0);
      assert.ok(
        Math.abs(difference - slope) < 1e-3 * (1 + Math.abs(slope)),
        `${name}: ${slope}, ${difference}`,
      );
    }
  });
});
