/**
 * What the trainer and its observers say to each other, defined once: the records of a run directory, and the
 * requests a live trainer answers on its control pipe. The extension, the webviews and the trainer import these
 * types; this module imports nothing.
 */

/** Every setting of a training run, resolved; `config.json` of the run directory holds one under `settings`. */
export interface TrainingSettings {
  /** Weights file, or a directory holding one with `open_clip_config.json`. Absolute path. */
  model: string;
  /** Known architecture name or path of an `open_clip_config.json`; null when the model itself tells. */
  arch: string | null;
  /**
   * Folder of images (searched recursively), a COCO-style JSON, or tar shards such as `a/{0000..0117}.tar`, several
   * patterns by comma. Absolute paths.
   */
  images: string;
  /** What pooled dense features are compared with: `clipself` the teacher's embedding of the crop, `regionclip` nouns. */
  method: string;
  /** Regions: `grid` patches, `proposals` of COCO-style JSON, or those of a plain `boxes-file`. */
  regions: string;
  /** File of the regions; null for a grid. Absolute path. */
  boxes: string | null;
  /** `regionclip`: class embeddings as `.npy`, rows by category id; null: prompts. Absolute path. */
  embeddings: string | null;
  /** `regionclip`: file of prompts for the model's text tower; null: the default ones. Absolute path. */
  prompts: string | null;
  /** Longest side of the student image in pixels; what is left beyond the last whole patch is not seen. */
  size: number;
  /** Grid patches: rows and columns are drawn from 1 … maxSplit (paper section 3.2, M). */
  maxSplit: number;
  /** At most this many patches of an image are used in one step. */
  maxBoxes: number;
  /** Sides in pixels, such as `320,640,896,1024`, one of which is drawn for each step; null: always `size`. */
  multiscale: string | null;
  /** Teacher crops are the regions enlarged by this factor about their centre. */
  cropScale: number;
  /** Share of the images that are trained on, drawn with the seed. */
  trainRatio: number;
  /** Images that go through the student together. */
  batch: number;
  /** Batches whose gradients add up to one step. */
  accumulate: number;
  /** Ranks that a step is made for: it takes `batch` · `accumulate` · `ranks` images, however many processes share them. */
  ranks: number;
  /** What ranks do with their gradients: `average`, or `none` as in the published code. */
  exchange: string;
  /** The weights of all ranks are compared every so many steps and at each checkpoint. */
  compareWeightsEvery: number;
  epochs: number;
  learningRate: number;
  weightDecay: number;
  /** Weight of the CLIPSelf loss. */
  cosineWeight: number;
  /** Memory for the teacher's embeddings of proposals, which are the same in each epoch, MiB; 0: they are computed anew. */
  teacherCacheMib: number;
  /** Weight of keeping the class token of whole images near the teacher's; 0 leaves it out. */
  retention: number;
  /** Steps of linear warm-up before the cosine decay. */
  warmup: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Trailing parameter groups that train: blocks from the last one back, then position embedding, then stem. */
  unlockedBlocks: number;
  /** Share α of the student in the saved blend α·student + (1 − α)·teacher. */
  blend: number;
  seed: number;
  /** Images kept out of training, on whose patches student and teacher are compared before, during and after. */
  holdOut: number;
  /** COCO panoptic annotations whose regions are named before training and after each epoch; null: none are. Absolute path. */
  evaluatePanoptic: string | null;
  /** Folder of their images. */
  evaluateImages: string | null;
  /** Folder of their PNG files. */
  evaluateMasks: string | null;
  /** Class embeddings as `.npy`; null: the model's own text tower reads the default prompts. */
  evaluateEmbeddings: string | null;
  /** Only so many images are evaluated, the first ones; 0: all. */
  evaluateLimit: number;
  /** A checkpoint is written every so many steps, at each epoch's end and on stop. */
  checkpointEvery: number;
  /** Only this many latest checkpoints are kept. */
  keepCheckpoints: number;
  engine: string;
  /** `fp16` computes in mixed precision, with float32 weights and a dynamic loss scale. */
  precision: 'fp32' | 'fp16';
  /** Threads of the CPU engine; 0 lets the engine decide. */
  threads: number;
  /** Memory that the trainer may take, GiB: activations that do not fit beside the rest are computed again. */
  memoryBudgetGib: number;
}

/** Every setting of a pre-training run, resolved. */
export interface PretrainSettings {
  /** Path of an `open_clip_config.json` that describes the model; null for the tiny CLIP of the demo. */
  arch: string | null;
  /** Weights file or model folder whose weights the run starts from; null for random ones. */
  from: string | null;
  /** Drawing styles of Emoji World that are trained on, parted by commas. */
  styles: string;
  /** Longest side of a training scene in pixels. */
  sceneSize: number;
  /** Image–text pairs that are told apart together. */
  batch: number;
  /** Batches of a step. */
  groups: number;
  steps: number;
  /** Steps between two evaluations; a checkpoint and the model are written as well. */
  stepsPerEpoch: number;
  learningRate: number;
  weightDecay: number;
  /** Steps of linear warm-up before the cosine decay. */
  warmup: number;
  beta1: number;
  beta2: number;
  epsilon: number;
  /** Highest global norm of the gradients. */
  clip: number;
  /** Share of the steps in which scenes grow from few large things to many small ones. */
  ramp: number;
  seed: number;
  /** Crops of things that each style is evaluated on. */
  evaluationCrops: number;
  /** Only this many latest checkpoints are kept. */
  keepCheckpoints: number;
  engine: string;
  /** Threads of the CPU engine; 0 lets the engine decide. */
  threads: number;
}

/** Content of `config.json` in the run directory of a pre-training. */
export interface PretrainConfiguration extends RunFacts {
  task: 'pretrain';
  settings: PretrainSettings;
  /** SHA-256 of the weights that the run started from, hex; null where they were drawn. */
  startHash: string | null;
}

/** Content of `config.json` in a run directory. */
export interface RunConfiguration extends RunFacts {
  settings: TrainingSettings;
  /** Identifies the files of regions and nouns, hex; null for grid patches. */
  regionsHash: string | null;
}

/** What every `config.json` says beside the settings. */
interface RunFacts {
  schema: 1;
  /** SHA-256 of the model's weights file, hex; of a pre-training, of the model's description and vocabulary. */
  modelHash: string;
  /** Parameters in the model file and of those the ones that train. */
  parameters: { total: number; trainable: number };
  /** Steps of the whole run. */
  totalSteps: number;
  stepsPerEpoch: number;
  /** Images found, usable for training, and held out. */
  imageCount: { found: number; training: number; heldOut: number };
  versions: { clipself: string; node: string; engine: string };
  /** ISO 8601 time of the run's creation. */
  created: string;
}

/** One training step in `metrics.jsonl`. `step` counts from 1: the number of completed steps. */
export interface StepRecord {
  step: number;
  epoch: number;
  loss: number;
  lr: number;
  gradNorm: number;
  imagesPerSecond: number;
  /** Share of the step in which the trainer waited for its images; earlier versions did not measure it. */
  dataWait?: number;
  /** In mixed precision, what the loss was multiplied by. */
  lossScale?: number;
  /** In mixed precision, steps whose gradients overflowed and that changed nothing, up to this one. */
  skippedSteps?: number;
  /** Resident memory of the trainer, MiB. */
  memoryMib: number;
  /** Milliseconds since the Unix epoch. */
  time: number;
}

/** An evaluation in `metrics.jsonl`; names are dotted paths such as `heldOut.cosine` or `rois.thing.macc1`. */
export interface EvaluationRecord {
  eval: { epoch: number; step: number; time: number } & Record<string, number>;
}

/** What happened to the run, in `metrics.jsonl`. A `resumed` event at step N voids earlier step records after N. */
export interface EventRecord {
  event: {
    kind: 'started' | 'resumed' | 'stopped' | 'finished' | 'failed' | 'warning';
    step: number;
    time: number;
    message?: string;
  };
}

export type MetricRecord = StepRecord | EvaluationRecord | EventRecord;

/** `preview.json`: the patches of the latest step's first image, for drawing over it. */
export interface PatchPreview {
  step: number;
  time: number;
  /** Absolute path of the image file; of one in a shard `<path of the shard>:<its name there>`. */
  image: string;
  /** Where the image lies in a shard. */
  member?: { shard: string; offset: number; size: number };
  /** Size of the image file in pixels. */
  width: number;
  height: number;
  /** Of the grid; 0 where regions are no grid patches. */
  rows: number;
  columns: number;
  /** Patches used in this step, [x0, y0, x1, y1] in pixels of the file. */
  boxes: [number, number, number, number][];
  /** Cosine of the student's pooled dense feature and the teacher's crop embedding, or its noun; one per box. */
  cosines: number[];
}

/** `trainer.json`: who trains this run. It exists only while a trainer holds the run (or died holding it). */
export interface TrainerLease {
  pid: number;
  host: string;
  /** Start time of the process as the kernel reports it, to tell a reused pid; null where unknown. */
  processStart: string | null;
  /** ISO 8601. */
  started: string;
  /** Path of the control pipe (Unix socket or Windows named pipe) on that host. */
  controlPipe: string;
}

/** Where a run stands. `interrupted`: no trainer is alive and none said goodbye. */
export type RunState = 'starting' | 'running' | 'stopped' | 'finished' | 'failed' | 'interrupted';

/** Summary of a run as the runs view, the status bar and the panel show it; derived from the run directory. */
export interface RunSummary {
  /** Absolute path of the run directory. */
  directory: string;
  name: string;
  state: RunState;
  step: number;
  totalSteps: number;
  epoch: number;
  epochs: number;
  loss: number | null;
  /** Seconds until the last step, from recent step times; null when unknown or not running. */
  etaSeconds: number | null;
  /** The reason of a failure. */
  message: string | null;
  /** Milliseconds since the Unix epoch of the last record. */
  updated: number;
  /** Host of a live trainer, null when none. */
  host: string | null;
}

/** Requests a live trainer answers over its control pipe (JSON-RPC, `vscode-jsonrpc`). */
export const controlRequests = {
  /** Finish the step in progress, save and exit 0. Params: none. Result: `StopResult`. */
  stop: 'run/stop',
  /** Params: none. Result: `TrainerStatus`. */
  status: 'run/status',
} as const;

export interface StopResult {
  /** Step after which the trainer will save and exit. */
  afterStep: number;
}

export interface TrainerStatus {
  directory: string;
  pid: number;
  step: number;
  totalSteps: number;
  stopping: boolean;
}
