/**
 * Colours of numbers and of clusters. Viridis, magma, inferno and plasma are by Smith, van der Walt and Firing, cividis
 * by Nuñez, Anderton and Renslow; the published values, dedicated to the public domain (CC0). All five rise evenly in
 * lightness and stay readable with any colour vision, cividis by design the most.
 */

/** Every fifth of the 256 published colours, six hexadecimal digits each; linear in between (at most 4 of 255 off). */
const published = {
  viridis:
    '44015446085c471063481769481d6f482475472a7a46307e453781433d844142873f48893d4e8a' +
    '3a538b38598c355e8d33638d31688e2e6d8e2c718e2a768e297b8e27808e25848e23898e218e8d' +
    '20928c1f978b1e9c891fa18821a58524aa8328ae802eb37c35b7793dbc7446c06f50c46a5ac864' +
    '65cb5e70cf577cd25089d54895d840a2da37b0dd2fbddf26cae11fd8e219e5e419f1e51dfde725',
  cividis:
    '00224e002656002a5f002d68003070083370163770203a6f273e6e2e416d34456c3a486c3f4c6c' +
    '444f6c49536c4e566c535a6d575d6d5c616e60646f656870696b716d6f727272747676767a7a78' +
    '7e7d788381798885788d8878928c789690779b9476a09875a59c74aaa073afa471b5a86fbaac6d' +
    'bfb06bc4b468c9b965cfbd62d4c15fdac65bdfca57e5cf52ead34cf0d846f6dd3ffce236fee838',
  magma:
    '00000402020b0504160907200e0b2b140e361a104221114e29115a311165390f6e420f754a1079' +
    '52137c5a167e6219806a1c81721f81792282812581892881912b81992d80a1307eaa337db2357b' +
    'ba3878c23b75ca3e72d2426fd9466be04c67e75263ec5860f1605df4695cf7725cf97b5dfb8560' +
    'fc8e64fd9869fea16efeaa74feb47bfebd82fec68afecf92fed89afde2a3fdebacfcf4b6fcfdbf',
  inferno:
    '00000402020c0504170a072210092d160b391e0c45260c512f0a5b380962400a67490b6a510e6c' +
    '59106e61136e69166e71196e781c6d801f6c88226a902568982766a02a63a82e5fb0315bb73557' +
    'bf3952c63d4dcc4248d34743d94d3ddf5337e45a31e9612bed6925f1711ff47918f78212f98b0b' +
    'fa9407fb9d07fca60cfcb014fbba1ffac42af8cd37f6d746f4e156f2ea69f2f27df5f992fcffa4',
  plasma:
    '0d08871b068d2605912f059638049a41049d4903a05102a35901a56100a76900a87100a87801a8' +
    '8004a88707a68e0ca49511a19c179ea21d9aa82296ae2892b42e8dba3388bf3984c43e7fc9447a' +
    'cd4a76d24f71d6556dda5b69de6164e26660e66c5ce97257ed7953f07f4ff3854bf58c46f79342' +
    'f99a3efba139fca835fdaf31feb72dfebe2afdc627fcce25fbd724f8df25f6e826f3f027f0f921',
  grey: '000000ffffff',
  /** For differences: blue below, white in the middle, orange above; the two ends differ for any colour vision. */
  difference: '08306b2b7bbaf7f7f7e6853c7f2704',
} as const;

export type ColourMapName = keyof typeof published;

export const colourMapNames = Object.keys(published) as readonly ColourMapName[];

export const isColourMapName = (name: string): name is ColourMapName => Object.hasOwn(published, name);

const tables = new Map<ColourMapName, Uint8Array>();

/** The 256 colours of a map, [256, 3]. */
export function colourTable(name: ColourMapName): Uint8Array {
  let table = tables.get(name);
  if (!table) {
    table = interpolate(parseColours(published[name]));
    tables.set(name, table);
  }
  return table;
}

function interpolate(anchors: Uint8Array): Uint8Array {
  const intervals = anchors.length / 3 - 1;
  const table = new Uint8Array(256 * 3);
  for (let index = 0; index < 256; index++) {
    const position = (index / 255) * intervals;
    const below = Math.min(Math.floor(position), intervals - 1);
    const share = position - below;
    for (let channel = 0; channel < 3; channel++) {
      const low = anchors[below * 3 + channel]!;
      table[index * 3 + channel] = Math.round(low + share * (anchors[below * 3 + 3 + channel]! - low));
    }
  }
  return table;
}

/** Six hexadecimal digits a colour to [colours, 3]. */
function parseColours(digits: string): Uint8Array {
  return Uint8Array.from({ length: digits.length / 2 }, (_, index) =>
    Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16),
  );
}

/** Index of a value in a table of 256 colours; what lies outside the range takes the end's. */
export function colourIndex(value: number, low: number, high: number): number {
  const share = high > low ? (value - low) / (high - low) : 0.5;
  return Math.round(255 * Math.min(Math.max(share, 0), 1));
}

/**
 * Colours of clusters, [20, 3]. The first seven are Okabe and Ito's, made for any colour vision; the others were
 * chosen one by one to lie as far as possible from all before, in CIELAB as seen with normal, protan and deutan
 * vision. Twenty colours cannot all be told apart at a glance, so views also name the cluster under the pointer.
 */
export const clusterPalette: Readonly<Uint8Array> = parseColours(
  '0072b2e69f00009e73cc79a756b4e9d55e00f0e442' +
    '5a4b1e87f078870078ffe1c30000ff00ffffff005a' +
    'a5c3876900b48796ff961e4b3c69ffd200b4',
);

/** The colour of a cluster as [red, green, blue], 0 … 255; more clusters than colours start over. */
export function clusterColour(cluster: number): [number, number, number] {
  const start = (cluster % (clusterPalette.length / 3)) * 3;
  return [clusterPalette[start]!, clusterPalette[start + 1]!, clusterPalette[start + 2]!];
}

/** `#rrggbb` as style sheets and SVG want it. */
export const cssColour = (rgb: readonly number[]): string =>
  `#${rgb.map(value => value.toString(16).padStart(2, '0')).join('')}`;
