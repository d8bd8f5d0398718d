import * as convolution from '../../trainer/graph/operations/convolution.ts';
import type { Shape } from '../../trainer/graph/shape.ts';
import { at, type DoubleTensor, tabulate } from '../support/doubleTensor.ts';
import { blank, describeOperations, floats, type OperationCase } from '../support/operationTests.ts';

type Settings = convolution.ConvolutionSettings;

/** Calls `visit` with every pair of an image pixel and a kernel element that meet, and where their product goes. */
function eachProduct(
  [, channels, height, width]: Shape,
  [outputs, , kernelHeight, kernelWidth]: Shape,
  [rows, columns]: readonly [number, number],
  { stride, padding, dilation }: Settings,
  visit: (
    output: [o: number, y: number, x: number],
    input: [c: number, y: number, x: number],
    kernel: [number, number],
  ) => void,
): void {
  for (let output = 0; output < outputs!; output++)
    for (let channel = 0; channel < channels!; channel++)
      for (let row = 0; row < rows; row++)
        for (let column = 0; column < columns; column++)
          for (let i = 0; i < kernelHeight!; i++)
            for (let j = 0; j < kernelWidth!; j++) {
              const y = row * stride - padding + i * dilation;
              const x = column * stride - padding + j * dilation;
              if (y < 0 || x < 0 || y >= height! || x >= width!) continue;
              visit([output, row, column], [channel, y, x], [i, j]);
            }
}

const outputSide = (side: number, kernel: number, { stride, padding, dilation }: Settings): number =>
  Math.floor((side + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1;

function convolve(x: DoubleTensor, kernel: DoubleTensor, settings: Settings): DoubleTensor {
  const rows = outputSide(x.shape[2]!, kernel.shape[2]!, settings);
  const columns = outputSide(x.shape[3]!, kernel.shape[3]!, settings);
  const result = tabulate([x.shape[0]!, kernel.shape[0]!, rows, columns], () => 0);
  for (let image = 0; image < x.shape[0]!; image++)
    eachProduct(x.shape, kernel.shape, [rows, columns], settings, ([o, row, column], [c, y, z], [i, j]) => {
      const position = ((image * kernel.shape[0]! + o) * rows + row) * columns + column;
      result.data[position]! += at(x, [image, c, y, z]) * at(kernel, [o, c, i, j]);
    });
  return result;
}

function spread(
  x: DoubleTensor,
  kernel: DoubleTensor,
  [height, width]: readonly [number, number],
  settings: Settings,
): DoubleTensor {
  const channels = kernel.shape[1]!;
  const image = [x.shape[0]!, channels, height, width];
  const result = tabulate(image, () => 0);
  const grid = [x.shape[2]!, x.shape[3]!] as const;
  for (let index = 0; index < x.shape[0]!; index++)
    eachProduct(image, kernel.shape, grid, settings, ([o, row, column], [c, y, z], [i, j]) => {
      const position = ((index * channels + c) * height + y) * width + z;
      result.data[position]! += at(x, [index, o, row, column]) * at(kernel, [o, c, i, j]);
    });
  return result;
}

const noteOf = ({ stride, padding, dilation }: Settings): string =>
  `stride ${stride}, padding ${padding}, dilation ${dilation}`;

const convolving = (image: Shape, kernel: Shape, settings: Settings): OperationCase => ({
  note: noteOf(settings),
  inputs: [floats(image, -1, 1), floats(kernel, -1, 1)],
  graph: (x, weight) => convolution.convolution2d(x, weight, settings),
  reference: (x, weight) => convolve(x, weight, settings),
});

const spreading = (
  image: Shape,
  kernel: Shape,
  size: readonly [number, number],
  settings: Settings,
): OperationCase => ({
  note: `to [${size.join(', ')}], ${noteOf(settings)}`,
  inputs: [floats(image, -1, 1), floats(kernel, -1, 1)],
  graph: (x, weight) => convolution.transposedConvolution2d(x, weight, size, settings),
  reference: (x, weight) => spread(x, weight, size, settings),
});

const plain = { stride: 1, padding: 0, dilation: 1 };
const same = { stride: 1, padding: 1, dilation: 1 };
const halving = { stride: 2, padding: 1, dilation: 1 };
const dilated = { stride: 2, padding: 1, dilation: 2 };

describeOperations('convolution', convolution, {
  convolution2d: {
    cases: [
      convolving([2, 3, 4, 5], [4, 3, 1, 1], plain),
      convolving([2, 3, 5, 4], [2, 3, 3, 3], same),
      convolving([2, 2, 6, 5], [3, 2, 3, 3], halving),
      convolving([1, 2, 7, 8], [3, 2, 3, 2], dilated),
      convolving([1, 1, 3, 3], [1, 1, 3, 3], plain),
    ],
    refusals: [
      {
        build: () => convolution.convolution2d(blank([1, 3, 4, 4]), blank([2, 4, 3, 3])),
        naming: ['[1, 3, 4, 4]', '[2, 4, 3, 3]'],
      },
      {
        build: () => convolution.convolution2d(blank([3, 4, 4]), blank([2, 3, 3, 3])),
        naming: ['[3, 4, 4]', '[2, 3, 3, 3]'],
      },
      {
        build: () => convolution.convolution2d(blank([1, 3, 2, 4]), blank([2, 3, 3, 3])),
        naming: ['larger than the padded image', '[1, 3, 2, 4]', '[2, 3, 3, 3]'],
      },
      {
        build: () => convolution.convolution2d(blank([1, 3, 4, 4], 'int32'), blank([2, 3, 3, 3])),
        naming: ['int32'],
        error: TypeError,
      },
    ],
  },
  transposedConvolution2d: {
    cases: [
      spreading([2, 4, 4, 5], [4, 3, 1, 1], [4, 5], plain),
      spreading([2, 2, 5, 4], [2, 3, 3, 3], [5, 4], same),
      spreading([2, 3, 3, 3], [3, 2, 3, 3], [6, 5], halving),
      spreading([1, 3, 3, 4], [3, 2, 3, 2], [7, 8], dilated),
    ],
    refusals: [
      {
        build: () => convolution.transposedConvolution2d(blank([1, 3, 4, 4]), blank([2, 3, 3, 3]), [6, 6]),
        naming: ['[1, 3, 4, 4]', '[2, 3, 3, 3]'],
      },
      {
        build: () => convolution.transposedConvolution2d(blank([1, 2, 4, 4]), blank([2, 3, 3, 3]), [7, 6]),
        naming: ['gives another image', '[7, 6]', '[1, 2, 4, 4]', '[2, 3, 3, 3]'],
      },
      {
        build: () =>
          convolution.transposedConvolution2d(blank([1, 2, 4, 4], 'bool'), blank([2, 3, 3, 3]), [6, 6]),
        naming: ['bool'],
        error: TypeError,
      },
    ],
  },
});
