import path from 'node:path';
import { writeAtomically, writeFully } from '../checkpoints/atomicFile.ts';
import { withCheckpoint } from '../checkpoints/checkpoint.ts';
import { FileError } from '../checkpoints/fileError.ts';
import type { ModelFiles } from '../checkpoints/modelFiles.ts';
import { createEngine } from '../engines/createEngine.ts';
import { readFloats } from '../engines/engine.ts';
import { type ExternalNumbers, lowerToOnnx } from '../engines/onnx/lower.ts';
import { reshape } from '../graph/operations/layout.ts';
import { sizeOf } from '../graph/shape.ts';
import { Value } from '../graph/value.ts';
import { joinStages } from '../models/joinStages.ts';
import type { ImageBatch } from '../models/visionStage.ts';
import { denseStages, imageStages } from '../models/visionStages.ts';
import { imageBatchOf, PositionInterpolations } from '../models/visionTower.ts';

/** `image`: pixels to the image's embedding; `dense`: pixels to CLIPSelf's dense features. */
export type ExportedGraph = 'image' | 'dense';

export interface OnnxExport {
  model: ModelFiles;
  graph: ExportedGraph;
  /** Side of the square image in pixels. */
  size: number;
  /** The model; its numbers go to the file of this name with `.data` behind it. */
  out: string;
}

const pixelsName = 'pixels';
/** Readers map the numbers; pages of this size suit every one of them. */
const alignment = 4096;

function layOut(inputs: ReadonlyMap<string, Value>, location: string): Map<string, ExternalNumbers> {
  const places = new Map<string, ExternalNumbers>();
  let end = 0;
  for (const [name, { shape }] of inputs) {
    const offset = Math.ceil(end / alignment) * alignment;
    const length = 4 * sizeOf(shape);
    places.set(name, { location, offset, length });
    end = offset + length;
  }
  return places;
}

/** The tables that depend on the grid alone, as the tower itself makes them. */
async function readTables(model: ModelFiles, batch: ImageBatch): Promise<Map<string, Float32Array>> {
  const engine = await createEngine('cpu', 1);
  const interpolations = new PositionInterpolations(engine, model.architecture);
  try {
    const tables = new Map<string, Float32Array>();
    for (const [name, table] of Object.entries(interpolations.feedsFor(batch)))
      tables.set(name, await readFloats(engine, table));
    return tables;
  } finally {
    interpolations.dispose();
    await engine.dispose();
  }
}

/** Writes the numbers in the order of their places, reading one tensor at a time. */
async function writeNumbers(
  file: string,
  { weightsFile }: ModelFiles,
  places: ReadonlyMap<string, ExternalNumbers>,
  tables: ReadonlyMap<string, Float32Array>,
): Promise<void> {
  await withCheckpoint(weightsFile, {}, async checkpoint => {
    await writeAtomically(file, async handle => {
      let end = 0;
      for (const [name, { offset, length }] of places) {
        const data = tables.get(name) ?? (await checkpoint.read(name, { asFloat32: true })).data;
        if (!(data instanceof Float32Array) || data.byteLength !== length)
          throw new FileError(
            weightsFile,
            `tensor '${name}' does not have the shape or type that the model needs`,
            'Check --arch',
          );
        await writeFully(handle, new Uint8Array(offset - end));
        await writeFully(handle, new Uint8Array(data.buffer, data.byteOffset, length));
        end = offset + length;
      }
    });
  });
}

/**
 * Writes an image tower as an ONNX model for one image of `[1, 3, size, size]` normalised pixels, called `pixels`. The
 * result of `image` is `embedding [1, D]`, not normalised; that of `dense` is `features [1, rows, columns, D]`, each of
 * unit norm.
 *
 * @returns Names of the files written.
 * @throws FileError when the weights cannot be read or a file cannot be written.
 */
export async function exportOnnx({ model, graph, size, out }: OnnxExport): Promise<string[]> {
  const { architecture } = model;
  const shape = [1, 3, size, size];
  const batch = imageBatchOf(architecture, { shape });
  const stages = graph === 'image' ? imageStages(architecture, batch) : denseStages(architecture, batch);
  const { output, inputs } = joinStages(stages, Value.input(pixelsName, shape));
  const dataFile = `${out}.data`;
  const places = layOut(inputs, path.basename(dataFile));
  const outputs =
    graph === 'image'
      ? { embedding: output }
      : { features: reshape(output, [1, batch.rows, batch.columns, architecture.embeddingDimension]) };
  const bytes = lowerToOnnx(outputs, { external: places, outputName: name => name });
  await writeNumbers(dataFile, model, places, await readTables(model, batch));
  await writeAtomically(out, handle => writeFully(handle, bytes));
  return [out, dataFile];
}
