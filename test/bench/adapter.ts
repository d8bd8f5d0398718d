/** Prints what WebGPU finds on this machine as one JSON line. */
import os from 'node:os';
import { probeWebGpu } from '../../trainer/engines/onnx/webGpuProbe.ts';

const [processor] = os.cpus();
console.log(
  JSON.stringify({
    ...(await probeWebGpu()),
    processor: processor?.model,
    cores: os.availableParallelism(),
    memoryGib: Math.round(os.totalmem() / 2 ** 30),
    node: process.version,
  }),
);
