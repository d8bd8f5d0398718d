import type { DeviceTensor, Feeds } from '../engines/engine.ts';
import type { VisionStage } from './visionStage.ts';

/** Parameters on the device by checkpoint name. */
export type Parameters = ReadonlyMap<string, DeviceTensor>;

/** Parameters of a stage by the names of its graph. */
export function parameterFeeds(stage: Pick<VisionStage, 'parameters'>, parameters: Parameters): Feeds {
  const feeds: Record<string, DeviceTensor> = {};
  for (const [name, checkpointName] of Object.entries(stage.parameters)) {
    const parameter = parameters.get(checkpointName);
    if (!parameter) throw new Error(`the model has no tensor '${checkpointName}'`);
    feeds[name] = parameter;
  }
  return feeds;
}

/** Feeds of a stage: its input, its parameters and the tables of the grid. */
export const stageFeeds = (
  stage: Pick<VisionStage, 'parameters'>,
  input: DeviceTensor,
  parameters: Parameters,
  tables: Feeds,
): Feeds => ({ ...tables, input, ...parameterFeeds(stage, parameters) });
