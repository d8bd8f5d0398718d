import { type DeviceTensor, disposeAll, type Engine, type HostData } from '../../trainer/engines/engine.ts';
import type { Outputs } from '../../trainer/graph/split.ts';

/** Compiles a graph, runs it once on host data by input name, and gives its results; nothing stays behind. */
export async function runGraph(
  engine: Engine,
  outputs: Outputs,
  inputs: Readonly<Record<string, HostData>>,
): Promise<Record<string, HostData>> {
  const program = await engine.compile(outputs);
  const feeds: Record<string, DeviceTensor> = {};
  for (const [name, { shape }] of Object.entries(program.inputs))
    feeds[name] = engine.upload(shape, inputs[name]!);
  const results = await program.run(feeds);
  const read: Record<string, HostData> = {};
  for (const [name, tensor] of Object.entries(results)) read[name] = await engine.read(tensor);
  disposeAll(results);
  disposeAll(feeds);
  await program.dispose();
  return read;
}
