import type { ModelDescription, ModelSource } from '../webview/inspector/protocol/models.ts';
import type {
  FeaturesResult,
  InspectorMethod,
  MapResult,
  QueryOf,
  ResultOf,
} from '../webview/inspector/protocol/requests.ts';
import { type FeatureFile, readExactly, readFeatures } from './featureExport.ts';
import type { Look } from './inspectorCommandLine.ts';
import type { InspectorModels } from './inspectorModels.ts';
import { InspectorError } from './inspectorProblems.ts';
import type { InspectorService, ServiceRequestOptions } from './inspectorService.ts';

/** What a panel asks of the person in front of it; null when they dismiss it. */
export interface InspectorDialogues {
  browseModel(): Promise<ModelSource | null>;
  getModel(): Promise<ModelSource | null>;
  loadBoxes(image: string): Promise<ResultOf<'loadBoxes'>>;
  browseWords(): Promise<string | null>;
  save(query: QueryOf<'save'>, image: string): Promise<string | null>;
  saveFeatures(
    format: QueryOf<'saveFeatures'>['format'],
    features: FeatureFile,
    image: string,
  ): Promise<string | null>;
  copyCommand(query: QueryOf<'copyCommand'>, image: string, look: Look): Promise<string>;
}

export interface HandlerSurroundings {
  service: Pick<InspectorService, 'request'>;
  models: Pick<InspectorModels, 'referenceOf'>;
  dialogues: InspectorDialogues;
  /** Absolute path of an image of the panel. */
  imageAt(index: number): string;
  /** Index of the image in view. */
  imageInView(): number;
  look(): Look;
}

/** A feature map that the panel was told of. */
interface KnownMap {
  features: MapResult;
  image: string;
}

/** Requests that are put to the person in front of the panel. */
type AskingMethod =
  | 'browseModel'
  | 'getModel'
  | 'loadBoxes'
  | 'browseWords'
  | 'save'
  | 'saveFeatures'
  | 'copyCommand';

type Handlers = {
  [Method in InspectorMethod]: (
    query: QueryOf<Method>,
    options: ServiceRequestOptions,
  ) => Promise<ResultOf<Method>>;
};

const bytesOfBase64 = (text: string): ArrayBuffer => new Uint8Array(Buffer.from(text, 'base64')).buffer;

/** Answers the requests of one panel: asks the service, reads the files it names, opens dialogues. */
export class InspectorHandlers {
  readonly #surroundings: HandlerSurroundings;
  readonly #maps = new Map<string, KnownMap>();
  readonly #handlers: Handlers;

  constructor(surroundings: HandlerSurroundings) {
    this.#surroundings = surroundings;
    this.#handlers = { ...this.#computing(), ...this.#asking() };
  }

  answer<Method extends InspectorMethod>(
    method: Method,
    query: QueryOf<Method>,
    options: ServiceRequestOptions,
  ): Promise<ResultOf<Method>> {
    return this.#handlers[method](query, options);
  }

  #computing(): Omit<Handlers, AskingMethod> {
    const { service, imageAt } = this.#surroundings;
    const referenceOf = (source: ModelSource) => this.#surroundings.models.referenceOf(source);
    const teacherOf = async (teacher: ModelSource | null) =>
      teacher === null ? null : await referenceOf(teacher);
    return {
      describe: async ({ source }, options) =>
        description(await service.request('describe', { model: await referenceOf(source) }, options)),
      features: (query, options) => this.#features(query, options),
      mapValues: async ({ key }, options) => ({ data: await readFeatures(await this.#stored(key, options)) }),
      kMeans: (query, options) => service.request('kMeans', query, options),
      pca: async (query, options) => {
        const { maps, ...rest } = await service.request('pca', query, options);
        const decoded = maps.map(map => ({ ...map, coordinates: bytesOfBase64(map.coordinates) }));
        return { ...rest, maps: decoded };
      },
      patches: async ({ image, source, teacher, ...asked }, options) => {
        const models = { model: await referenceOf(source), teacher: await teacherOf(teacher) };
        return service.request('patches', { ...models, image: imageAt(image), ...asked }, options);
      },
      regions: async ({ image, source, teacher, ...asked }, options) => {
        const models = { model: await referenceOf(source), teacher: await teacherOf(teacher) };
        const params = { ...models, image: imageAt(image), ...asked };
        const { dense, crops, ...rest } = await service.request('regions', params, options);
        return { ...rest, dense: bytesOfBase64(dense), crops: bytesOfBase64(crops) };
      },
      crop: async ({ image, source, box }, options) => {
        const params = { model: await referenceOf(source), image: imageAt(image), box };
        const { side, rgb } = await service.request('crop', params, options);
        return { side, rgb: bytesOfBase64(rgb) };
      },
      words: async ({ source, ...asked }, options) => {
        const params = { model: await referenceOf(source), ...asked };
        const { dimension, data } = await service.request('words', params, options);
        return { dimension, data: bytesOfBase64(data) };
      },
      norms: async ({ image, source, size, readOut, layer }, options) => {
        const model = await referenceOf(source);
        return service.request('norms', { model, image: imageAt(image), size, readOut, layer }, options);
      },
      attention: async ({ image, source, size, layer, query }, options) => {
        const params = { model: await referenceOf(source), image: imageAt(image), size, layer, query };
        const { file, ...rest } = await service.request('attention', params, options);
        return { ...rest, data: await readExactly(file, (rest.heads + 1) * rest.rows * rest.columns * 4) };
      },
    };
  }

  #asking(): Pick<Handlers, AskingMethod> {
    const { dialogues, imageAt, imageInView, look } = this.#surroundings;
    return {
      browseModel: () => dialogues.browseModel(),
      getModel: () => dialogues.getModel(),
      loadBoxes: ({ image }) => dialogues.loadBoxes(imageAt(image)),
      browseWords: () => dialogues.browseWords(),
      save: query => dialogues.save(query, imageAt(imageInView())),
      saveFeatures: async ({ key, format }, options) =>
        dialogues.saveFeatures(format, await this.#stored(key, options), this.#known(key).image),
      copyCommand: query => dialogues.copyCommand(query, imageAt(query.query.image), look()),
    };
  }

  async #features(query: QueryOf<'features'>, options: ServiceRequestOptions): Promise<FeaturesResult> {
    const { service, models, imageAt } = this.#surroundings;
    const { size, readOut, layer, clusters } = query;
    const image = imageAt(query.image);
    const params = { model: await models.referenceOf(query.source), image, size, readOut, layer, clusters };
    const answer = await service.request('features', params, options);
    const { clusters: _clusters, ...features } = answer;
    this.#maps.set(features.key, { features, image });
    return answer;
  }

  /** A map and where its values lie, once they do. */
  async #stored(key: string, options: ServiceRequestOptions): Promise<FeatureFile> {
    const { features } = this.#known(key);
    const { file } = await this.#surroundings.service.request('mapFile', { key }, options);
    return { ...features, file };
  }

  #known(key: string): KnownMap {
    const map = this.#maps.get(key);
    if (map === undefined) throw new InspectorError('unknownKey', 'Ask for the features first.');
    return map;
  }
}

function description({
  source: _source,
  steps: _steps,
  ...shown
}: ModelDescription & {
  source: unknown;
  steps: unknown;
}): ModelDescription {
  return shown;
}
