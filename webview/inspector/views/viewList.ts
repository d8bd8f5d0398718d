import { WordStore } from '../wordStore.ts';
import { AttentionView } from './attentionView.ts';
import { KMeansView } from './kMeansView.ts';
import { NormsView } from './normsView.ts';
import { PatchGridView } from './patchGridView.ts';
import { PcaView } from './pcaView.ts';
import { RegionsView } from './regionsView.ts';
import { SimilarityView } from './similarityView.ts';
import type { View, ViewContext } from './view.ts';
import { WordsView } from './wordsView.ts';

/** All views in the order of their tabs. A new view is added here and in the protocol. */
export function createViews(context: ViewContext): View[] {
  const words = new WordStore(context);
  return [
    new PatchGridView(context),
    new KMeansView(context, words),
    new PcaView(context),
    new SimilarityView(context),
    new WordsView(context, words),
    new RegionsView(context, words),
    new NormsView(context),
    new AttentionView(context),
  ];
}
