import { AttentionView } from './attentionView.ts';
import { KMeansView } from './kMeansView.ts';
import { NormsView } from './normsView.ts';
import { PatchGridView } from './patchGridView.ts';
import { PcaView } from './pcaView.ts';
import { RegionsView } from './regionsView.ts';
import { SimilarityView } from './similarityView.ts';
import type { View, ViewContext } from './view.ts';

/** All views in the order of their tabs. A new view, such as one that needs words, is added here and in the protocol. */
export function createViews(context: ViewContext): View[] {
  return [
    new PatchGridView(context),
    new KMeansView(context),
    new PcaView(context),
    new SimilarityView(context),
    new RegionsView(context),
    new NormsView(context),
    new AttentionView(context),
  ];
}
