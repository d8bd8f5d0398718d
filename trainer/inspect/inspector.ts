import path from 'node:path';
import type { Engine } from '../engines/engine.ts';
import { hasMaskAttention } from '../models/maskAttention.ts';
import { readOutsOf } from '../models/visionStages.ts';
import { ClusterRequests } from './clusterRequests.ts';
import { ComponentRequests } from './componentRequests.ts';
import { FeatureMaps } from './featureMaps.ts';
import { FileHashes } from './fileHashes.ts';
import { ImageStore } from './imageStore.ts';
import { type CacheBounds, MapCache } from './mapCache.ts';
import { type ModelBounds, ModelStore } from './modelStore.ts';
import type {
  DescribeParams,
  DescribeResult,
  FeaturesParams,
  FeaturesResult,
  InspectRequestTypes,
} from './protocol.ts';
import { RegionRequests } from './regionRequests.ts';
import type { RequestContext } from './requestContext.ts';
import * as parse from './requestParams.ts';
import { TokenRequests } from './tokenRequests.ts';
import { WordRequests } from './wordRequests.ts';

export interface InspectorOptions extends ModelBounds {
  /** Folder of cached maps; made where it is missing. */
  cacheFolder: string;
  cache: CacheBounds;
  /** Bytes that a forward pass may take, if the system has them. */
  memoryLimit: number;
}

type RequestName = keyof InspectRequestTypes;

/** Answers the requests of the protocol, one at a time. */
export type InspectHandlers = {
  readonly [Name in RequestName]: (
    params: Record<string, unknown>,
    context: RequestContext,
  ) => Promise<InspectRequestTypes[Name]['result']>;
};

/** What looks at images for the inspector panel. Dispose of it before its engine. */
export interface Inspector {
  readonly handlers: InspectHandlers;
  dispose(): Promise<void>;
}

/**
 * Prepares the cache; models are loaded when they are asked for.
 *
 * @throws FileError when the cache folder cannot be created.
 */
export async function openInspector(engine: Engine, options: InspectorOptions): Promise<Inspector> {
  const cache = await MapCache.open(options.cacheFolder, options.cache);
  const hashes = await FileHashes.open(path.join(path.resolve(options.cacheFolder), 'hashes.json'));
  const models = new ModelStore(engine, options);
  const maps = new FeatureMaps(models, new ImageStore(hashes), hashes, cache, options.memoryLimit);
  const clusters = new ClusterRequests(maps);
  const components = new ComponentRequests(maps);
  const regions = new RegionRequests(maps);
  const tokens = new TokenRequests(maps);
  const words = new WordRequests(engine, maps, hashes);
  return {
    handlers: {
      describe: fields => describe(maps, parse.describeParams(fields)),
      features: (fields, context) => features(maps, clusters, parse.featuresParams(fields), context),
      mapFile: fields => maps.file(parse.mapFileParams(fields)),
      kMeans: (fields, context) => clusters.kMeans(parse.kMeansParams(fields), context),
      pca: (fields, context) => components.pca(parse.pcaParams(fields), context),
      patches: (fields, context) => regions.patches(parse.patchesParams(fields), context),
      regions: (fields, context) => regions.regions(parse.regionsParams(fields), context),
      crop: (fields, context) => regions.crop(parse.cropParams(fields), context),
      norms: (fields, context) => tokens.norms(parse.normsParams(fields), context),
      attention: (fields, context) => tokens.attention(parse.attentionParams(fields), context),
      words: (fields, context) => words.words(parse.wordsParams(fields), context),
    },
    dispose: async () => {
      await maps.settled();
      await words.dispose();
      await models.dispose();
    },
  };
}

/** `inspect/features`. */
async function features(
  maps: FeatureMaps,
  clusters: ClusterRequests,
  params: FeaturesParams,
  context: RequestContext,
): Promise<FeaturesResult> {
  const map = await maps.features(params, context);
  return { ...map, clusters: params.clusters ? await clusters.ofMap(map, params.clusters, context) : null };
}

/** `inspect/describe`. */
async function describe(maps: FeatureMaps, { model }: DescribeParams): Promise<DescribeResult> {
  const { files, hash, steps, step, source } = await maps.resolve(model);
  const { name, kind, patchSize, imageSize, layers, heads, embeddingDimension } = files.architecture;
  return {
    name: `${name ?? 'ViT'} · ${kind}`,
    patchSize,
    sizeStep: kind === 'resnet' ? patchSize : 1,
    imageSize,
    layers,
    heads,
    dimension: embeddingDimension,
    hash,
    readOuts: [...readOutsOf(files.architecture)],
    maskAttention: hasMaskAttention(files.architecture),
    attention: kind !== 'resnet',
    steps,
    step,
    source,
    warnings: [...files.warnings],
  };
}
