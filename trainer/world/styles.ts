/** The icon sets from which Emoji World is drawn. They are development dependencies: a packaged extension has none. */
export interface IconStyle {
  readonly name: StyleName;
  readonly title: string;
  /** npm package that holds the icons. */
  readonly package: string;
  readonly author: string;
  readonly source: string;
  /** SPDX identifier and where the licence can be read. */
  readonly licence: string;
  readonly licenceUrl: string;
  /** A style that no training sees, to measure what was learned on drawings of another hand. */
  readonly heldOut: boolean;
}

export const styleNames = ['fluent-emoji-flat', 'noto', 'noto-v1', 'fxemoji', 'emojione', 'twemoji'] as const;
export type StyleName = (typeof styleNames)[number];

const apache = { licence: 'Apache-2.0', licenceUrl: 'https://www.apache.org/licenses/LICENSE-2.0' } as const;
const attribution = {
  licence: 'CC-BY-4.0',
  licenceUrl: 'https://creativecommons.org/licenses/by/4.0/',
} as const;
const noto = {
  author: 'Google Inc',
  source: 'https://github.com/googlefonts/noto-emoji',
  ...apache,
} as const;

export const iconStyles: Readonly<Record<StyleName, IconStyle>> = {
  'fluent-emoji-flat': {
    name: 'fluent-emoji-flat',
    title: 'Fluent Emoji Flat',
    package: '@iconify-json/fluent-emoji-flat',
    author: 'Microsoft Corporation',
    source: 'https://github.com/microsoft/fluentui-emoji',
    licence: 'MIT',
    licenceUrl: 'https://github.com/microsoft/fluentui-emoji/blob/main/LICENSE',
    heldOut: false,
  },
  noto: { name: 'noto', title: 'Noto Emoji', package: '@iconify-json/noto', ...noto, heldOut: false },
  'noto-v1': {
    name: 'noto-v1',
    title: 'Noto Emoji, first version',
    package: '@iconify-json/noto-v1',
    ...noto,
    heldOut: false,
  },
  fxemoji: {
    name: 'fxemoji',
    title: 'Firefox OS Emoji',
    package: '@iconify-json/fxemoji',
    author: 'Mozilla',
    source: 'https://github.com/mozilla/fxemoji',
    ...apache,
    heldOut: false,
  },
  emojione: {
    name: 'emojione',
    title: 'Emoji One, as EmojiTwo keeps it',
    package: '@iconify-json/emojione',
    author: 'Emoji One',
    source: 'https://github.com/EmojiTwo/emojitwo',
    ...attribution,
    heldOut: false,
  },
  twemoji: {
    name: 'twemoji',
    title: 'Twitter Emoji',
    package: '@iconify-json/twemoji',
    author: 'Twitter and other contributors',
    source: 'https://github.com/jdecked/twemoji',
    ...attribution,
    heldOut: true,
  },
};

export const trainingStyles: readonly StyleName[] = styleNames.filter(name => !iconStyles[name].heldOut);
export const heldOutStyles: readonly StyleName[] = styleNames.filter(name => iconStyles[name].heldOut);
