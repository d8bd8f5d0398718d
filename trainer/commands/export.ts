import { parseArgs } from 'node:util';
import { readCheckpoint, underSourceNames } from '../checkpoints/checkpoint.ts';
import { configurationMetadataKey, type ModelFiles, resolveModel } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { toOpenClipConfiguration } from '../checkpoints/openClipConfiguration.ts';
import { writePytorch } from '../checkpoints/pytorchWriter.ts';
import { writeSafetensors } from '../checkpoints/safetensors.ts';
import { checkRange, checkSize } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';
import { outputOptions } from './commonOptions.ts';
import type { ExportedGraph } from './exportOnnx.ts';
import { halvedTensors, openAiStateDict, type Renaming, renamed, type Tensors } from './exportTensors.ts';

const help = `usage: clipself export --model M --format safetensors|openclip|state-dict|openai|onnx --out F [--arch A] [--half]
                       [--strip P] [--prefix P] [--graph image|dense] [--size S] [--json]

Writes a model for other programs (docs/downstream.md says which takes what).
  safetensors   the names of the source (OpenCLIP's or Hugging Face's), and its configuration in the file's metadata
  openclip      a PyTorch file {'state_dict': …} with OpenCLIP's names; torch.load accepts it with weights_only=True
  state-dict    a PyTorch file with the dict of tensors alone, OpenCLIP's names
  openai        like state-dict, with the three numbers that programs made for OpenAI's archives look for
  onnx          the image tower for one image of S × S normalised pixels, float32, its numbers in F.data beside it:
                --graph image (the default) gives 'embedding' [1, D], not normalised; --graph dense gives 'features'
                [1, rows, columns, D] of unit norm, CLIPSelf's read-out. S is the model's own size without --size.

  --half        round float32 numbers to float16
  --strip P     only the tensors whose names start with P, without it: 'visual.' leaves the image tower
  --prefix P    put P in front of every name, after --strip`;

const formats = ['safetensors', 'openclip', 'state-dict', 'openai', 'onnx'] as const;
type Format = (typeof formats)[number];
const graphs: readonly ExportedGraph[] = ['image', 'dense'];

/** One of some words, or a message that lists them. */
function oneOf<Word extends string>(option: string, words: readonly Word[], value: string | undefined): Word {
  const found = words.find(word => word === value);
  if (found === undefined) throw new UsageError(`--${option} must be ${words.join(', ')}; got ${value}`);
  return found;
}

/** How the tensors of a model are changed before they are written. */
interface Changes extends Renaming {
  half: boolean;
}

/** The whole model as one file of the format. */
async function exportWeights(
  model: ModelFiles,
  out: string,
  format: Exclude<Format, 'onnx'>,
  { half, ...renaming }: Changes,
): Promise<string[]> {
  const { tensors } = await readCheckpoint(model.weightsFile);
  const rounded = half ? halvedTensors(tensors) : tensors;
  const named = (given: Tensors): Tensors => renamed(given, renaming);
  if (format === 'safetensors')
    await writeSafetensors(out, named(await underSourceNames(model.weightsFile, rounded)), {
      format: 'pt',
      [configurationMetadataKey]: JSON.stringify(toOpenClipConfiguration(model)),
    });
  else if (format === 'openai') await writePytorch(out, named(openAiStateDict(model, rounded)), 'bare');
  else await writePytorch(out, named(rounded), format === 'openclip' ? 'state_dict' : 'bare');
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
      strip: { type: 'string' },
      prefix: { type: 'string' },
      graph: { type: 'string' },
      size: { type: 'string' },
      ...outputOptions,
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
  if (format === 'onnx' && (values.half || values.strip !== undefined || values.prefix !== undefined))
    throw new UsageError('--half, --strip and --prefix belong to the formats of weights, not to onnx');
  const graph = oneOf('graph', graphs, values.graph ?? 'image');
  const model = await resolveModel(await modelPath(source), values.arch ?? null);
  for (const warning of model.warnings) console.error(`warning: ${warning}`);
  const changes = { half: values.half, strip: values.strip ?? '', prefix: values.prefix ?? '' };
  const files =
    format === 'onnx'
      ? await exportGraph(model, out, graph, values.size)
      : await exportWeights(model, out, format, changes);
  if (values.json) console.log(JSON.stringify({ format, files }));
  else console.log(files.join('\n'));
}
