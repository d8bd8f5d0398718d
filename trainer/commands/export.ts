import { parseArgs } from 'node:util';
import { readCheckpoint, underSourceNames } from '../checkpoints/checkpoint.ts';
import type { HostTensor } from '../checkpoints/hostTensor.ts';
import { configurationMetadataKey, type ModelFiles, resolveModel } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { toOpenClipConfiguration } from '../checkpoints/openClipConfiguration.ts';
import { writePytorch } from '../checkpoints/pytorchWriter.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { toFloat16 } from '../dense/float16.ts';
import { checkRange, checkSize } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import type { ExportedGraph } from './exportOnnx.ts';

const help = `usage: clipself export --model M --format safetensors|openclip|onnx --out F [--arch A] [--half] [--graph image|dense] [--size S] [--json]

Writes a model for other programs.
  safetensors   the names of the source (OpenCLIP's or Hugging Face's), and its configuration in the file's metadata;
                --half rounds float32 numbers to float16
  openclip      a PyTorch file {'state_dict': …} with OpenCLIP's names; torch.load accepts it with weights_only=True
  onnx          the image tower for one image of S × S normalised pixels, float32, its numbers in F.data beside it:
                --graph image (the default) gives 'embedding' [1, D], not normalised; --graph dense gives 'features'
                [1, rows, columns, D] of unit norm, CLIPSelf's read-out. S is the model's own size without --size.`;

const formats = ['safetensors', 'openclip', 'onnx'] as const;
type Format = (typeof formats)[number];
const graphs: readonly ExportedGraph[] = ['image', 'dense'];

/** One of some words, or a message that lists them. */
function oneOf<Word extends string>(option: string, words: readonly Word[], value: string | undefined): Word {
  const found = words.find(word => word === value);
  if (found === undefined) throw new UsageError(`--${option} must be ${words.join(', ')}; got ${value}`);
  return found;
}

/** The whole model under its source's names, numbers as they are or rounded to float16. */
async function exportSafetensors(model: ModelFiles, out: string, half: boolean): Promise<string[]> {
  const { tensors } = await readCheckpoint(model.weightsFile);
  const written = half ? new Map([...tensors].map(([name, tensor]) => [name, halved(tensor)])) : tensors;
  await writeSafetensors(out, await underSourceNames(model.weightsFile, written), {
    format: 'pt',
    [configurationMetadataKey]: JSON.stringify(toOpenClipConfiguration(model)),
  });
  return [out];
}

const halved = (tensor: HostTensor): HostTensor =>
  tensor.data instanceof Float32Array
    ? { shape: tensor.shape, dtype: 'float16', data: toFloat16(tensor.data) }
    : tensor;

async function exportOpenClip(model: ModelFiles, out: string): Promise<string[]> {
  await writePytorch(out, (await readCheckpoint(model.weightsFile)).tensors);
  return [out];
}

async function exportGraph(
  model: ModelFiles,
  out: string,
  graph: ExportedGraph,
  sizeText: string | undefined,
): Promise<string[]> {
  const { imageSize } = model.architecture;
  const size = sizeText === undefined ? imageSize : Number(sizeText);
  checkRange('size', Number.isNaN(size) ? sizeText : size);
  if (size !== imageSize) checkSize(size, model.architecture);
  const { exportOnnx } = await import('./exportOnnx.ts');
  return exportOnnx({ model, graph, size, out });
}

/** `clipself export`. */
export async function exportCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: 'string' },
      arch: { type: 'string' },
      format: { type: 'string' },
      out: { type: 'string' },
      half: { type: 'boolean', default: false },
      graph: { type: 'string' },
      size: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const { model: source, out } = values;
  if (source === undefined || out === undefined || values.format === undefined)
    throw new UsageError('export needs --model, --format and --out (clipself export --help)');
  const format: Format = oneOf('format', formats, values.format);
  if (format !== 'onnx' && (values.graph !== undefined || values.size !== undefined))
    throw new UsageError('--graph and --size belong to --format onnx');
  if (values.half && format !== 'safetensors') throw new UsageError('--half belongs to --format safetensors');
  const graph = oneOf('graph', graphs, values.graph ?? 'image');
  const model = await resolveModel(await modelPath(source), values.arch ?? null);
  for (const warning of model.warnings) console.error(`warning: ${warning}`);
  const files =
    format === 'onnx'
      ? await exportGraph(model, out, graph, values.size)
      : format === 'openclip'
        ? await exportOpenClip(model, out)
        : await exportSafetensors(model, out, values.half);
  if (values.json) console.log(JSON.stringify({ format, files }));
  else console.log(files.join('\n'));
}
