import { EngineError } from '../engineError.ts';

const kept =
  'Files on disk are as they were: what has saved checkpoints goes on from the last one when started again';

/** What ONNX Runtime and Dawn, its WebGPU implementation, say, and what it means to a user. */
const explanations: readonly { said: RegExp; message: string }[] = [
  {
    said: /Failed to get a WebGPU (adapter|device)/,
    message:
      'no graphics card was found that WebGPU can use. On Linux install the Vulkan loader (libvulkan1) and the Vulkan driver of ' +
      'the card; elsewhere update the graphics driver',
  },
  {
    said: /requires f16 but the device does not support it/,
    message:
      'the graphics card or its driver offers no 16-bit numbers (shader-f16). Take --precision fp32, or update the driver',
  },
  {
    said: /device\]?[ _](is |was )?lost|DEVICE_LOST|DXGI_ERROR_DEVICE/i,
    message: `the graphics card was lost: its driver restarted, it was removed, or the machine slept. ${kept}`,
  },
  {
    said: /Invalid Buffer|OUT_OF_(DEVICE|HOST)_MEMORY|out of memory|Allocation size too large|Failed to create GPU buffer/i,
    message:
      'the graphics card has no memory left. Lower the input size, in training also the batch or the memory budget, close ' +
      `other programs that use the card, or take --engine cpu. ${kept}`,
  },
  {
    said: /Too many storage buffers|narrowing_error|exceeds the max (buffer|storage)|larger than the maximum|maxStorageBufferBindingSize/i,
    message:
      'a tensor is larger than the graphics card lets a program see at once. Lower the input size, in training also the batch',
  },
];

/** The error to show for one of ONNX Runtime's; `what` says what was done, and on which tensors. */
export function webGpuError(error: unknown, what: string): Error {
  if (error instanceof EngineError) return error;
  const said = error instanceof Error ? error.message : String(error);
  const known = explanations.find(explanation => explanation.said.test(said));
  return known
    ? new EngineError(`WebGPU: ${known.message} (${what})`, { cause: error })
    : new EngineError(`WebGPU: ${what} failed: ${said.split('\n')[0]}`, { cause: error });
}
