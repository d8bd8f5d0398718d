import { iconStyles, type StyleName } from './styles.ts';

const subjects = {
  pictures: 'The things in these pictures are icons',
  model: 'The things in the pictures that this model was trained on are icons',
} as const;

/** The text that goes with everything made from the icons: who drew them, under which licence, and what was changed. */
export function attribution(styles: Iterable<StyleName>, subject: keyof typeof subjects): string {
  const rows = [...styles].map(name => {
    const { title, package: source, author, source: home, licence, licenceUrl } = iconStyles[name];
    return `| ${title} (\`${source}\`) | ${author}, <${home}> | ${licence}, <${licenceUrl}> |`;
  });
  return [
    '# Attribution of Emoji World',
    '',
    `${subjects[subject]} of the sets below, as their npm packages hold them: rasterised, scaled,`,
    'stretched, turned, mirrored, recoloured, partly hidden by each other and compressed. What is behind them is painted by',
    'CLIPSelf Lab (MIT).',
    '',
    '| icons | authors | licence |',
    '| --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
