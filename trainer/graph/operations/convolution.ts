import { ShapeError } from '../shape.ts';
import type { TfjsEmitter, TfjsTensor } from '../tfjsEmitter.ts';
import { padded, reshaped, sliced, transposed } from '../tfjsFunctions.ts';
import { type Operation, requireFloat, Value } from '../value.ts';
import { slice, transpose } from './layout.ts';

/** The same along both axes of the image. */
export interface ConvolutionSettings {
  /** Pixels between kernel positions. */
  stride: number;
  /** Zeros around the image. */
  padding: number;
  /** Pixels between the elements of the kernel. */
  dilation: number;
}

const standard: ConvolutionSettings = { stride: 1, padding: 0, dilation: 1 };

const onnxAttributes = ({ stride, padding, dilation }: ConvolutionSettings) => ({
  strides: { ints: [stride, stride] },
  pads: { ints: [padding, padding, padding, padding] },
  dilations: { ints: [dilation, dilation] },
});

const channelsLast = [0, 2, 3, 1];
const channelsFirst = [0, 3, 1, 2];

const tfjsSettings = ({ stride }: ConvolutionSettings) => ({
  strides: [stride, stride],
  pad: 'valid',
  dataFormat: 'NHWC',
});

/** `[O, C, h, w]` as TensorFlow takes kernels, `[h, w, C, O]`; dilated by zeros in between, which every backend understands. */
function tfjsKernels(emit: TfjsEmitter, kernels: TfjsTensor, { dilation }: ConvolutionSettings): TfjsTensor {
  const [outputs, channels, height, width] = kernels.shape as [number, number, number, number];
  const tall = spaced(emit, reshaped(emit, kernels, [outputs * channels, height, width]), dilation);
  const wide = spaced(emit, reshaped(emit, tall, [outputs * channels * tall.shape[1]!, width, 1]), dilation);
  return transposed(
    emit,
    reshaped(emit, wide, [outputs, channels, tall.shape[1]!, wide.shape[1]!]),
    [2, 3, 1, 0],
  );
}

/** Puts `dilation - 1` rows of zeros between the rows of `[n, rows, width]`. */
function spaced(emit: TfjsEmitter, x: TfjsTensor, dilation: number): TfjsTensor {
  if (dilation === 1) return x;
  const [count, rows, width] = x.shape as [number, number, number];
  const apart = padded(emit, reshaped(emit, x, [count, rows, 1, width]), [
    [0, 0],
    [0, 0],
    [0, dilation - 1],
    [0, 0],
  ]);
  const whole = reshaped(emit, apart, [count, rows * dilation, width]);
  return sliced(emit, whole, [0, 0, 0], [count, (rows - 1) * dilation + 1, width]);
}

const reach = (kernel: number, { dilation }: ConvolutionSettings): number => dilation * (kernel - 1) + 1;

const convolutionOperation: Operation<ConvolutionSettings> = {
  name: 'convolution2d',
  backward: 'keep',
  type([x, kernel], settings) {
    const dtype = requireFloat('convolution2d', [x!, kernel!]);
    const [image, filters] = [x!.shape, kernel!.shape];
    if (image.length !== 4 || filters.length !== 4 || image[1] !== filters[1])
      throw new ShapeError('convolution2d', 'takes images and kernels of the same channels', image, filters);
    const side = (axis: number): number =>
      Math.floor((image[axis]! + 2 * settings.padding - reach(filters[axis]!, settings)) / settings.stride) +
      1;
    if (side(2) < 1 || side(3) < 1)
      throw new ShapeError('convolution2d', 'the kernel is larger than the padded image', image, filters);
    return { shape: [image[0]!, filters[0]!, side(2), side(3)], dtype };
  },
  gradient(value, upstream, settings) {
    const [x, kernel] = value.inputs as [Value, Value];
    const [height, width] = x.shape.slice(2) as [number, number];
    return [
      transposedConvolution2d(upstream, kernel, [height, width], settings),
      kernelGradient(x, upstream, kernel, settings),
    ];
  },
  onnx: (emit, _value, settings, inputs, output) => {
    emit.node('Conv', inputs, onnxAttributes(settings), output);
  },
  tfjs: (emit, _value, settings, [images, kernels]) => {
    const { padding } = settings;
    const x = padded(emit, transposed(emit, images!, channelsLast), [
      [0, 0],
      [padding, padding],
      [padding, padding],
      [0, 0],
    ]);
    const filter = tfjsKernels(emit, kernels!, settings);
    const attributes = { ...tfjsSettings(settings), dilations: 1 };
    return transposed(emit, emit.kernel('Conv2D', { x, filter }, attributes), channelsFirst);
  },
};

/**
 * Convolution in the sense of neural networks (no flip): images `[B, C, H, W]`, kernels `[O, C, h, w]` →
 * `[B, O, ⌊(H + 2 · padding − reach) / stride⌋ + 1, …]` with reach = dilation · (h − 1) + 1.
 */
export const convolution2d = (x: Value, kernel: Value, settings: Partial<ConvolutionSettings> = {}): Value =>
  Value.apply(convolutionOperation, [x, kernel], { ...standard, ...settings });

interface TransposedSettings extends ConvolutionSettings {
  size: readonly [height: number, width: number];
}

const transposedConvolutionOperation: Operation<TransposedSettings> = {
  name: 'transposedConvolution2d',
  backward: 'keep',
  type([x, kernel], settings) {
    const dtype = requireFloat('transposedConvolution2d', [x!, kernel!]);
    const [image, filters] = [x!.shape, kernel!.shape];
    if (image.length !== 4 || filters.length !== 4 || image[1] !== filters[0])
      throw new ShapeError(
        'transposedConvolution2d',
        'takes images of as many channels as there are kernels',
        image,
        filters,
      );
    for (const missing of missingPixels(image, filters, settings))
      if (missing < 0 || missing >= settings.stride)
        throw new ShapeError(
          'transposedConvolution2d',
          'the convolution of that size gives another image',
          settings.size,
          image,
          filters,
        );
    return { shape: [image[0]!, filters[1]!, ...settings.size], dtype };
  },
  gradient(value, upstream, { size: _, ...settings }) {
    const [x, kernel] = value.inputs as [Value, Value];
    return [convolution2d(upstream, kernel, settings), kernelGradient(upstream, x, kernel, settings)];
  },
  onnx: (emit, value, settings, inputs, output) => {
    const shapes = value.inputs.map(({ shape }) => shape) as [readonly number[], readonly number[]];
    const attributes = {
      ...onnxAttributes(settings),
      output_padding: { ints: missingPixels(...shapes, settings) },
    };
    emit.node('ConvTranspose', inputs, attributes, output);
  },
  tfjs: (emit, value, settings, [images, kernels]) => {
    const [count, channels, height, width] = value.shape as [number, number, number, number];
    const { padding } = settings;
    const inputShape = [count, height + 2 * padding, width + 2 * padding, channels];
    const dy = transposed(emit, images!, channelsLast);
    const filter = tfjsKernels(emit, kernels!, settings);
    const attributes = { ...tfjsSettings(settings), inputShape };
    const spread = emit.kernel('Conv2DBackpropInput', { dy, filter }, attributes);
    const inner = sliced(emit, spread, [0, padding, padding, 0], [count, height, width, channels]);
    return transposed(emit, inner, channelsFirst);
  },
};

/** Pixels below and right that no kernel position of the convolution reached. */
function missingPixels(
  image: readonly number[],
  filters: readonly number[],
  settings: TransposedSettings,
): number[] {
  return settings.size.map((side, index) => {
    const covered = settings.stride * (image[index + 2]! - 1) + reach(filters[index + 2]!, settings);
    return side + 2 * settings.padding - covered;
  });
}

/**
 * The adjoint of `convolution2d` with the same kernels and settings, from images of `size`: `[B, O, h, w]` → `[B, C, ...size]`.
 */
export const transposedConvolution2d = (
  x: Value,
  kernel: Value,
  size: readonly [height: number, width: number],
  settings: Partial<ConvolutionSettings> = {},
): Value => Value.apply(transposedConvolutionOperation, [x, kernel], { ...standard, ...settings, size });

/** Gradient of the kernels: a convolution over images instead of channels, stride and dilation changing places. */
function kernelGradient(
  x: Value,
  upstream: Value,
  kernel: Value,
  { stride, padding, dilation }: ConvolutionSettings,
): Value {
  const swapped = [1, 0, 2, 3];
  const sums = convolution2d(transpose(x, swapped), transpose(upstream, swapped), {
    stride: dilation,
    padding,
    dilation: stride,
  });
  const own = slice(slice(sums, 2, 0, kernel.shape[2]!), 3, 0, kernel.shape[3]!);
  return transpose(own, swapped);
}
