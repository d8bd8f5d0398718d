import type { DeviceTensor, Engine, Program } from '../../trainer/engines/engine.ts';
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
  // Two products of so many terms in all, queries with keys and weights with values.
  multiHeadAttention: ({ shape }) => 2 * shape[1]!,
  convolution2d: ({ inputs: [, kernel] }) => kernel!.size / kernel!.shape[0]!,
};

/** Floating-point operations of a program's matrix products and convolutions, two for each term. */
export const workOf = (outputs: Outputs): number =>
  topologicalOrder(Object.values(outputs)).reduce(
    (sum, value) => sum + 2 * value.size * (terms[value.operation?.name ?? '']?.(value) ?? 0),
    0,
  );

/** How many images a program saw for each that its graph was made for. */
function timesAsMany(types: Program['outputs'], results: Readonly<Record<string, DeviceTensor>>): number {
  const [name, { shape }] = Object.entries(types)[0]!;
  return shape.length === 0 ? 1 : results[name]!.shape[0]! / shape[0]!;
}

/** Counts the work of every program that the engine runs from now on; the count so far. */
export function countWork(engine: Engine): () => number {
  let total = 0;
  const counting = (program: Program, outputs: Outputs): Program => {
    const work = workOf(outputs);
    const run = program.run.bind(program);
    program.run = async feeds => {
      const results = await run(feeds);
      total += work * timesAsMany(program.outputs, results);
      return results;
    };
    return program;
  };
  const compile = engine.compile.bind(engine);
  engine.compile = async outputs => counting(await compile(outputs), outputs);
  const compileFrozen = engine.compileFrozen?.bind(engine);
  if (compileFrozen)
    engine.compileFrozen = async (outputs, ...rest) =>
      counting(await compileFrozen(outputs, ...rest), outputs);
  return () => total;
}
