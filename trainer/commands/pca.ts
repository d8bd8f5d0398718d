import { pcaOfMaps } from '../dense/pca.ts';
import { SettingError } from '../training/settings.ts';
import { mapImage, writeCellTable, writeOverlay } from './overlayImage.ts';
import { overlayHelp, overlayUsage, readOverlayOptions } from './overlayOptions.ts';

const help = `usage: clipself pca ${overlayUsage} [--components 0,1,2]

Draws three principal components of an image's dense features over the image as red, green and blue.

  --components  which three, from 0, the one of most variance
${overlayHelp}`;

/** Later components of dense features are noise; the panel offers no more either. */
const lastComponent = 63;

/** `clipself pca`. */
export async function pcaCommand(args: string[]): Promise<void> {
  const read = readOverlayOptions('pca', { components: { type: 'string' } }, args);
  if (!read) {
    console.log(help);
    return;
  }
  const { options } = read;
  const components = parseComponents(read.own.get('components') ?? '0,1,2');
  const mapped = await mapImage(options);
  const { rows, columns } = mapped.map.valid;
  const available = Math.min(mapped.map.dimension, rows * columns - 1);
  if (Math.max(...components) >= available)
    throw new SettingError(
      `${rows} × ${columns} patches of ${mapped.map.dimension} channels have components 0 to ${available - 1}; use a larger --size`,
    );
  const { basis, colours, coordinates } = pcaOfMaps([mapped.map], components);
  await writeOverlay(mapped, { kind: 'colours', rgb: colours[0]! }, options);
  const headings = components.map(component => `component${component}`);
  const values = coordinates[0]!;
  await writeCellTable(options.csv, mapped, headings, (_, index) =>
    Array.from(values.subarray(3 * index, 3 * index + 3)),
  );
  const explained = components.map(component => basis.explainedVariance[component]!);
  if (options.json) {
    const { out } = options;
    console.log(JSON.stringify({ out, rows, columns, components, explainedVariance: explained }));
    return;
  }
  console.log(`principal components of ${rows} × ${columns} patches: ${options.out}`);
  components.forEach((component, index) => {
    const channel = ['red', 'green', 'blue'][index]!;
    console.log(
      `  ${channel.padEnd(5)}  component ${component}  ${(100 * explained[index]!).toFixed(1)} % of the variance`,
    );
  });
}

function parseComponents(text: string): [number, number, number] {
  const [red, green, blue, ...more] = text
    .split(',')
    .map(part => (/^\d+$/.test(part) ? Number(part) : Number.NaN));
  const fits = (value: number | undefined): value is number => value !== undefined && value <= lastComponent;
  if (fits(red) && fits(green) && fits(blue) && more.length === 0) return [red, green, blue];
  throw new SettingError(
    `--components takes three numbers from 0 to ${lastComponent} such as 0,1,2; got '${text}'`,
  );
}
