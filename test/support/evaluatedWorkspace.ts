/** A workspace with runs that were evaluated on the sample images. */

import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { EvaluatedClass, RegionReading } from '../../trainer/evaluate/protocol.ts';
import { runReportPath } from '../../trainer/evaluate/protocol.ts';
import {
  type Evaluation,
  type EvaluationImage,
  makeEvaluation,
  writeEvaluation,
} from './evaluationReports.ts';
import { eventRecord, TestRun } from './runDirectories.ts';
import { type SampleWorkspace, sampleWorkspace } from './sampleWorkspace.ts';

const things =
  'person bicycle car bus train boat bench bird cat dog horse sheep umbrella kite bottle cup bowl banana apple chair';
const stuff = 'sky tree grass road sea sand mountain building wall floor';

const namedClasses: EvaluatedClass[] = [
  ...things.split(' ').map(name => ({ name, isThing: true })),
  ...stuff.split(' ').map(name => ({ name, isThing: false })),
].map((entry, index) => ({ id: index + 1, ...entry }));

export interface EvaluatedWorkspace extends SampleWorkspace {
  /** Run directories. */
  first: string;
  second: string;
  /** Evaluates an epoch of the first run, as a trainer that goes on would. */
  evaluateNext(epoch: number): Promise<void>;
}

/** How well an epoch names regions: dense features become better, crops are the teacher's. */
function skillAt(epoch: number, gain: number): Record<RegionReading, number> {
  const learned = 1 - 0.55 ** epoch;
  return { rois: 0.24 + gain * learned, maskpool: 0.3 + gain * learned, crops: 0.72 };
}

async function imagesIn(folder: string): Promise<EvaluationImage[]> {
  const names = (await readdir(folder)).filter(name => name.endsWith('.jpg')).sort();
  return Promise.all(
    names.map(async name => {
      const { width, height } = await sharp(join(folder, name)).metadata();
      return { name, width, height };
    }),
  );
}

async function evaluatedRun(
  directory: string,
  evaluate: (epoch: number) => Evaluation,
  epochs: number,
): Promise<{ run: TestRun; write: (epoch: number) => Promise<void> }> {
  const run = await TestRun.create(directory);
  const write = async (epoch: number): Promise<void> => {
    const evaluation = evaluate(epoch);
    await writeEvaluation(join(directory, runReportPath(epoch)), evaluation);
    const known = Object.entries(evaluation.report.numbers).filter(([, value]) => value !== null);
    run.write({ eval: { ...Object.fromEntries(known), epoch, step: epoch * 50, time: Date.now() } });
  };
  for (let epoch = 0; epoch <= epochs; epoch++) await write(epoch);
  run.write(eventRecord('finished', epochs * 50));
  return { run, write };
}

/** Two runs of five and four epochs, each with a report for every epoch, and the images they name. */
export async function evaluatedWorkspace(): Promise<EvaluatedWorkspace> {
  const workspace = await sampleWorkspace(16);
  const images = await imagesIn(workspace.images);
  const evaluate =
    (run: string, gain: number) =>
    (epoch: number): Evaluation =>
      makeEvaluation({
        ...{ seed: 3, classes: namedClasses, images, imageFolder: workspace.images, regions: 640 },
        ...{ skill: skillAt(epoch, gain), run, epoch },
      });
  const [first, second] = [join(workspace.path, 'runs/patches'), join(workspace.path, 'runs/proposals')];
  const { write } = await evaluatedRun(first, evaluate(first, 0.4), 5);
  await evaluatedRun(second, evaluate(second, 0.3), 4);
  return { ...workspace, first, second, evaluateNext: write };
}
