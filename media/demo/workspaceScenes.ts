/**
 * Renders the scenes of the workspace that the walkthrough opens: `npm run demo:scenes`. The same bytes each time, into
 * `media/demo/workspace`.
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { proposeCommand } from '../../trainer/commands/propose.ts';
import { trainingStyles } from '../../trainer/world/styles.ts';
import { type WorldRequest, writeWorld } from '../../trainer/world/writeWorld.ts';
import { proposedRegions, sceneLooks } from './sceneLooks.ts';

const target = fileURLToPath(new URL('workspace', import.meta.url));

const common = { ...sceneLooks, styles: trainingStyles };
const training: WorldRequest = { ...common, seed: 21, count: 160 };
const evaluation: WorldRequest = { ...common, seed: 22, count: 32 };

const folder = await mkdtemp(path.join(tmpdir(), 'clipself-scenes-'));
try {
  await writeWorld(path.join(folder, 'training'), training);
  await writeWorld(path.join(folder, 'evaluation'), evaluation);
  for (const part of ['scenes', 'evaluation'])
    await rm(path.join(target, part), { recursive: true, force: true });
  await cp(path.join(folder, 'training/images'), path.join(target, 'scenes'), { recursive: true });
  for (const part of ['images', 'panoptic', 'panoptic.json'])
    await cp(path.join(folder, 'evaluation', part), path.join(target, 'evaluation', part), {
      recursive: true,
    });
  const proposals = path.join(target, 'proposals.json');
  const scenes = path.join(target, 'scenes');
  await rm(proposals, { force: true });
  await proposeCommand(['--images', scenes, '--count', String(proposedRegions), '--out', proposals]);
  await cp(path.join(folder, 'training/ATTRIBUTION.md'), path.join(target, 'ATTRIBUTION.md'));
} finally {
  await rm(folder, { recursive: true, force: true });
}
