import { SettingError } from '../training/settings.ts';
import { type StyleName, styleNames } from './styles.ts';

/**
 * Names of drawing styles, parted by commas.
 *
 * @throws SettingError for one that there is not.
 */
export function parseStyleList(text: string): StyleName[] {
  const names = text.split(',').map(name => name.trim());
  return names.map(name => {
    const known = styleNames.find(style => style === name);
    if (!known) throw new SettingError(`--styles takes ${styleNames.join(', ')}; got '${name}'`);
    return known;
  });
}
