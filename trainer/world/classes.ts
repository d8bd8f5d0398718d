import type { StyleName } from './styles.ts';

/** A class of Emoji World. Its category id in the data sets is its place in `worldClasses`, counted from 1. */
export interface WorldClass {
  readonly name: string;
  readonly group: string;
  readonly isThing: boolean;
  /** Icons that draw it, by style; a style without a fitting icon has none. Stuff is painted and has none at all. */
  readonly icons: Readonly<Partial<Record<StyleName, readonly string[]>>>;
}

/**
 * @param icons Names that five of the sets share.
 * @param firefox Names in the set of Firefox OS, which has its own.
 * @param unfit Sets whose icon shows something else: chosen by eye, for example a tent on a square of night sky.
 */
function thing(
  group: string,
  name: string,
  icons: readonly string[],
  firefox: readonly string[],
  unfit: readonly StyleName[] = [],
): WorldClass {
  const shared: StyleName[] = ['fluent-emoji-flat', 'noto', 'noto-v1', 'emojione', 'twemoji'];
  const fitting = shared.filter(style => !unfit.includes(style)).map(style => [style, icons] as const);
  const own = firefox.length > 0 ? { fxemoji: firefox } : {};
  return { name, group, isThing: true, icons: { ...Object.fromEntries(fitting), ...own } };
}

export const thingClasses: readonly WorldClass[] = [
  thing('food', 'apple', ['red-apple', 'green-apple'], ['redapple', 'greenapple']),
  thing('food', 'banana', ['banana'], ['banana']),
  thing('food', 'strawberry', ['strawberry'], ['strawberry']),
  thing('food', 'watermelon', ['watermelon'], ['watermelon']),
  thing('food', 'pineapple', ['pineapple'], ['pineapple']),
  thing('food', 'grapes', ['grapes'], ['grapes']),
  thing('food', 'carrot', ['carrot'], []),
  thing('food', 'mushroom', ['mushroom'], ['mushroom']),
  thing('food', 'cheese', ['cheese-wedge'], []),
  thing('food', 'hamburger', ['hamburger'], ['hamburger']),
  thing('food', 'pizza', ['pizza'], ['sliceofpizza']),
  thing('food', 'doughnut', ['doughnut'], ['doughnut']),
  thing('food', 'cake', ['birthday-cake', 'shortcake'], ['birthdaycake', 'shortcake']),
  thing('food', 'ice cream', ['ice-cream', 'soft-ice-cream'], ['icecream', 'softicecream']),
  thing('animal', 'dog', ['dog', 'dog-face'], ['dog', 'dogside']),
  thing('animal', 'cat', ['cat', 'cat-face'], ['cat', 'catside']),
  thing('animal', 'horse', ['horse', 'horse-face'], ['horse', 'horseface']),
  thing('animal', 'elephant', ['elephant'], ['elephant']),
  thing('animal', 'penguin', ['penguin'], ['penguin']),
  thing('animal', 'fish', ['tropical-fish', 'fish'], ['tropicalfish', 'fish']),
  thing('animal', 'owl', ['owl'], []),
  thing('animal', 'butterfly', ['butterfly'], []),
  thing('animal', 'turtle', ['turtle'], ['turtle']),
  thing('animal', 'snail', ['snail'], ['snail']),
  thing('animal', 'octopus', ['octopus'], ['octopus']),
  thing('animal', 'crab', ['crab'], []),
  thing('animal', 'whale', ['spouting-whale', 'whale'], ['spurtingwhale', 'whale']),
  thing('animal', 'bee', ['honeybee'], ['honeybee']),
  thing('animal', 'rabbit', ['rabbit', 'rabbit-face'], ['bunnyside', 'bunny']),
  thing('animal', 'spider', ['spider'], ['spider']),
  thing('animal', 'cow', ['cow', 'cow-face'], ['cow', 'cowface']),
  thing('vehicle', 'car', ['automobile', 'sport-utility-vehicle'], ['automobile', 'recreationalvehicle']),
  thing('vehicle', 'bus', ['bus', 'trolleybus'], ['bus', 'trolleybus']),
  thing('vehicle', 'tractor', ['tractor'], ['tractor']),
  thing('vehicle', 'bicycle', ['bicycle'], ['bicycle']),
  thing('vehicle', 'airplane', ['airplane', 'small-airplane'], ['airplane']),
  thing('vehicle', 'helicopter', ['helicopter'], ['helicopter']),
  thing('vehicle', 'sailboat', ['sailboat'], []),
  thing('vehicle', 'rocket', ['rocket'], ['rocket']),
  thing('object', 'umbrella', ['umbrella'], ['umbrella']),
  thing('object', 'book', ['open-book', 'closed-book'], ['openbook', 'closedbook']),
  thing('object', 'clock', ['alarm-clock', 'mantelpiece-clock'], ['alarmclock', 'manltepiececlock']),
  thing('object', 'key', ['key', 'old-key'], ['key', 'oldkey']),
  thing('object', 'scissors', ['scissors'], ['blackscissors']),
  thing('object', 'guitar', ['guitar'], ['guitar']),
  thing('object', 'bell', ['bell'], ['bell']),
  thing('object', 'camera', ['camera'], ['camera']),
  thing('object', 'television', ['television'], ['television']),
  thing('object', 'light bulb', ['light-bulb'], ['lightbulb']),
  thing('object', 'football', ['soccer-ball'], ['soccerball']),
  thing('object', 'backpack', ['backpack'], ['schoolsatchel']),
  thing('object', 'crown', ['crown'], ['crown']),
  thing('object', 'hat', ['top-hat', 'womans-hat'], ['tophat', 'womanshat']),
  thing('object', 'shoe', ['running-shoe', 'mans-shoe'], ['mensrunner', 'mensshoe']),
  thing('object', 'cup', ['hot-beverage'], ['hotbeverage']),
  thing('object', 'balloon', ['balloon'], ['balloon']),
  thing('object', 'gift', ['wrapped-gift'], ['present']),
  thing('object', 'anchor', ['anchor'], ['anchor']),
  thing('building', 'house', ['house'], ['housebuilding']),
  thing('building', 'tent', ['tent'], [], ['emojione']),
  thing('plant', 'tree', ['deciduous-tree'], ['deciduoustree']),
  thing('plant', 'palm tree', ['palm-tree'], ['palmtree']),
  thing('plant', 'cactus', ['cactus'], ['cactus']),
  thing('plant', 'sunflower', ['sunflower'], ['sunflower']),
];

export const stuffNames = [
  'sky',
  'night',
  'grass',
  'sand',
  'water',
  'snow',
  'soil',
  'brick',
  'wood',
  'stone',
  'tile',
  'leaves',
  'fabric',
  'lava',
] as const;
export type StuffName = (typeof stuffNames)[number];

export const stuffClasses: readonly WorldClass[] = stuffNames.map(name => ({
  name,
  group: 'surroundings',
  isThing: false,
  icons: {},
}));

/** Things first, then stuff. */
export const worldClasses: readonly WorldClass[] = [...thingClasses, ...stuffClasses];
