import { parseArgs } from 'node:util';
import type { CheckpointHeader } from '../checkpoints/checkpointTypes.ts';
import { FileError } from '../checkpoints/fileError.ts';
import { hashWeights, resolveModel } from '../checkpoints/modelFiles.ts';
import { modelPath } from '../checkpoints/modelsFolder.ts';
import { sizeOf } from '../graph/shape.ts';
import { describeArchitecture, type VisionArchitecture } from '../models/architecture.ts';
import { describeTextTower, locateTextTower } from '../models/textArchitecture.ts';
import { UsageError } from '../usageError.ts';
import { outputOptions } from './commonOptions.ts';

const help = `usage: clipself describe M [--arch A] [--json]

Architecture, parameters, number format and origin of a model. Reads the header of the weights, not the weights.`;

/** `clipself describe`. */
export async function describeCommand(args: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      arch: { type: 'string' },
      ...outputOptions,
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const [path] = positionals;
  if (path === undefined || positionals.length > 1)
    throw new UsageError('describe takes one model (clipself describe --help)');
  const { architecture, files, header, sourceNames, weightsFile, warnings } = await resolveModel(
    await modelPath(path),
    values.arch ?? null,
  );
  const entries = [...header.tensors];
  const count = (prefix: string): number =>
    entries.reduce((sum, [name, { shape }]) => sum + (name.startsWith(prefix) ? sizeOf(shape) : 0), 0);
  const description = {
    weights: weightsFile,
    sha256: await hashWeights({ files }),
    architecture,
    textTower: textTowerOf(header, architecture),
    parameters: { total: count(''), imageTower: count('visual.') },
    dtypes: [...new Set(entries.map(([, { dtype }]) => dtype))],
    sources: sourceNames,
    warnings,
  };
  if (values.json) console.log(JSON.stringify(description));
  else {
    console.log(`${describeArchitecture(architecture)}, embedding ${architecture.embeddingDimension}`);
    console.log(`weights       ${weightsFile}`);
    console.log(`sha256        ${description.sha256}`);
    console.log(`parameters    ${millions(count(''))}, image tower ${millions(count('visual.'))}`);
    console.log(`text tower    ${description.textTower.found ?? `none: ${description.textTower.reason}`}`);
    console.log(`number format ${description.dtypes.join(', ')}`);
    console.log(`architecture  from ${sourceNames.architecture}`);
    for (const warning of warnings) console.log(`warning       ${warning}`);
  }
}

const millions = (count: number): string => `${(count / 1e6).toFixed(2)} M`;

/** The text tower in words, or why there is none that is read here. */
function textTowerOf(
  header: CheckpointHeader,
  architecture: VisionArchitecture,
): { found: string | null; reason: string | null } {
  try {
    return { found: describeTextTower(locateTextTower(header, architecture).architecture), reason: null };
  } catch (error) {
    if (error instanceof FileError) return { found: null, reason: error.reason };
    throw error;
  }
}
