import { hashFile } from '../checkpoints/modelFiles.ts';
import { type LoadedTower, loadTower } from '../dense/loadTower.ts';
import { openEngine } from '../engineChoice/openEngine.ts';
import { findModel } from '../inspect/modelReference.ts';
import type { ModelReference } from '../inspect/protocol.ts';

export type OpenTower = LoadedTower;

/** Loads the image tower of a model, of the student of a run or of one of a run's checkpoints onto an engine. */
export async function openReference(
  reference: ModelReference,
  engineName: string,
  threads: number,
): Promise<OpenTower> {
  const { files, upload } = await findModel(reference, { of: hashFile });
  for (const warning of files.warnings) console.error(`warning: ${warning}`);
  const { architecture } = files;
  const engine = await openEngine({ name: engineName, threads, architecture }, (line, remembered) => {
    if (!remembered) console.error(line);
  });
  const tower = await loadTower(files, engine, await upload(engine));
  const dispose = async (): Promise<void> => {
    await tower.dispose();
    await engine.dispose();
  };
  return { ...tower, dispose };
}
