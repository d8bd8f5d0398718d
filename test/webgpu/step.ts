/**
 * Makes two training steps while ONNX Runtime says on standard error which provider runs each node, and prints what
 * crossed between host and card in the second.
 */

import { OnnxRuntimeWebGpuEngine, type Transfers } from '../../trainer/engines/onnx/onnxRuntimeWebGpu.ts';
import { createTinyDistiller, tinyBatch } from '../support/tinyDistiller.ts';

const engine = await OnnxRuntimeWebGpuEngine.start(0);
const distiller = await createTinyDistiller(engine);
const batch = tinyBatch();
// The first step makes the moments.
await distiller.step(batch, 1, 1e-3);
const before: Transfers = { ...engine.transfers };
await distiller.step(batch, 2, 1e-3);
const transfers = Object.fromEntries(
  Object.entries(engine.transfers).map(([name, count]) => [name, count - before[name as keyof Transfers]]),
);
await distiller.dispose();
console.log(JSON.stringify({ transfers, live: engine.live }));
await engine.dispose();
