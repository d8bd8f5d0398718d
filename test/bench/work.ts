import type { Engine } from '../../trainer/engines/engine.ts';
import type { Outputs } from '../../trainer/graph/split.ts';
import { topologicalOrder, type Value } from '../../trainer/graph/value.ts';

const lastLength = ({ shape }: Value): number => shape.at(-1)!;

/** Terms that are multiplied and added up for each element of a product's result. */
const terms: Readonly<Record<string, (value: Value) => number>> = {
  matmul: ({ inputs: [a], attributes }) =>
    (attributes as { transposeA: boolean }).transposeA ? a!.shape.at(-2)! : lastLength(a!),
  affine: ({ inputs: [x] }) => lastLength(x!),
  attend: ({ inputs: [weights] }) => lastLength(weights!),
  'attention weights by likeness': ({ inputs: [query] }) => lastLength(query!),
  convolution2d: ({ inputs: [, kernel] }) => kernel!.size / kernel!.shape[0]!,
};

/** Floating-point operations of a program's matrix products and convolutions, two for each term. */
export const workOf = (outputs: Outputs): number =>
  topologicalOrder(Object.values(outputs)).reduce(
    (sum, value) => sum + 2 * value.size * (terms[value.operation?.name ?? '']?.(value) ?? 0),
    0,
  );

/** Counts the work of every program that the engine runs from now on; the count so far. */
export function countWork(engine: Engine): () => number {
  let total = 0;
  const compile = engine.compile.bind(engine);
  engine.compile = async outputs => {
    const program = await compile(outputs);
    const work = workOf(outputs);
    const run = program.run.bind(program);
    program.run = feeds => {
      total += work;
      return run(feeds);
    };
    return program;
  };
  return () => total;
}
