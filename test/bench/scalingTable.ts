/**
 * Writes the computed tables of docs/scaling.md between its marks: `npm run scaling` (`-- --check` compares only). The same
 * numbers every time.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { knownArchitectures } from '../../trainer/checkpoints/knownArchitectures.ts';
import { requireTransformer } from '../../trainer/models/architecture.ts';
import { recipes } from '../../trainer/recipes.ts';
import {
  type Machine,
  type Network,
  type Plan,
  type Reduction,
  type StepModel,
  stepModel,
  stepTime,
} from './scalingModel.ts';

export const scalingDocument = new URL('../../docs/scaling.md', import.meta.url);
const [begin, end] = ['<!-- computed by npm run scaling -->', '<!-- end of what is computed -->'];

const gigabit = 1e9 / 8;
const networks: readonly Network[] = [
  { name: '10 Gbit/s Ethernet, 50 µs', bandwidth: 10 * gigabit, delay: 50e-6 },
  { name: '100 Gbit/s, 5 µs', bandwidth: 100 * gigabit, delay: 5e-6 },
];
/** Operations a second in a step at 1024 px on one H200: this engine's as measured, and about what PyTorch's reach. */
const rates = { today: 3e12, tuned: 30e12 } as const;
const hostBandwidth = 12e9;
const ranksShown = [8, 16, 32, 64, 128, 256, 512];

const models = [
  { title: 'ViT-B/16 at 1024 px', name: 'ViT-B-16', recipe: recipes['b16-patches'] },
  { title: 'ViT-L/14 (336 px) at 896 px', name: 'ViT-L-14-336', recipe: recipes['l14-patches'] },
] as const;

const standard: Plan = { reduction: 'ring', numberBytes: 4, accumulate: 1, bucketBytes: 8 * 2 ** 20 };

interface Column {
  title: string;
  rate: keyof typeof rates;
  plan: Plan;
}

const columns: readonly Column[] = [
  ...(['today', 'tuned'] as const).flatMap(rate =>
    (['ring', 'tree'] as const).map((reduction: Reduction) => ({
      title: `${rate}, ${reduction}`,
      rate,
      plan: { ...standard, reduction },
    })),
  ),
  { title: 'tuned, tree, bf16', rate: 'tuned', plan: { ...standard, reduction: 'tree', numberBytes: 2 } },
  {
    title: 'the same, 4 batches a step',
    rate: 'tuned',
    plan: { ...standard, reduction: 'tree', numberBytes: 2, accumulate: 4 },
  },
];

const percent = (share: number): string => `${Math.round(100 * share)} %`;
const seconds = (value: number): string => (value < 0.1 ? value.toFixed(3) : value.toPrecision(3));
const row = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;

function tableOf(step: StepModel, network: Network): string[] {
  const machine = (rate: keyof typeof rates): Machine => ({ rate: rates[rate], hostBandwidth });
  return [
    row(['GPUs', 'exchange s, ring', 'tree', ...columns.map(({ title }) => title)]),
    row(['---', '---', '---', ...columns.map(() => '---')]),
    ...ranksShown.map(ranks => {
      const time = (rate: keyof typeof rates, plan: Plan) =>
        stepTime(step, ranks, network, machine(rate), plan);
      const exchange = (['ring', 'tree'] as const).map(reduction =>
        seconds(time('today', { ...standard, reduction }).exchange),
      );
      return row([
        ranks,
        ...exchange,
        ...columns.map(({ rate, plan }) => percent(time(rate, plan).efficiency)),
      ]);
    }),
  ];
}

/** Where fewer than half of the seconds are computing; null within what is shown. */
function dominatedFrom(step: StepModel, network: Network, { rate, plan }: Column): number | null {
  for (let ranks = 2; ranks <= 512; ranks++)
    if (stepTime(step, ranks, network, { rate: rates[rate], hostBandwidth }, plan).efficiency < 0.5)
      return ranks;
  return null;
}

/** The tables as markdown. */
export function scalingTables(): string {
  const lines: string[] = [];
  for (const { title, name, recipe } of models) {
    const architecture = requireTransformer(knownArchitectures.get(name)!, 'blocks');
    const step = stepModel(architecture, {
      size: recipe.size,
      crops: recipe.maxBoxes,
      imagesPerRank: recipe.batch,
      unlockedBlocks: recipe.unlockedBlocks,
    });
    const [mib, work] = [step.gradientBytes / 2 ** 20, step.work / 1e12];
    lines.push(
      `### ${title}`,
      `${Math.round(mib)} MiB of gradients a step; ${work.toPrecision(3)} TFLOP a rank and step (${recipe.batch} images, ` +
        `${recipe.maxBoxes} crops each), ${percent(step.backwardShare)} of them in the backward pass: ` +
        `${seconds(step.work / rates.today)} s today, ${seconds(step.work / rates.tuned)} s tuned.`,
      '',
    );
    for (const network of networks) {
      lines.push(`**${network.name}**`, '', ...tableOf(step, network), '');
      const places = columns.flatMap(column => {
        const ranks = dominatedFrom(step, network, column);
        return ranks === null ? [] : [`${column.title} from ${ranks} GPUs on`];
      });
      const where = places.length > 0 ? places.join('; ') : 'nowhere up to 512 GPUs';
      lines.push(`Waiting takes more than half of a step: ${where}.`, '');
    }
  }
  return lines.join('\n').trimEnd();
}

/** The document with its tables as they are computed now. */
export function withTables(document: string): string {
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from)
    throw new Error('docs/scaling.md has lost the marks between which its tables are');
  return `${document.slice(0, from + begin.length)}\n${scalingTables()}\n${document.slice(to)}`;
}

if (import.meta.url === `file://${process.argv[1]}`) {
  const document = await readFile(scalingDocument, 'utf8');
  const computed = withTables(document);
  if (!process.argv.includes('--check')) await writeFile(scalingDocument, computed);
  else if (computed !== document) throw new Error('docs/scaling.md is not what npm run scaling writes');
}
