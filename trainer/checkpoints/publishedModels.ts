/** Models whose weights can be fetched from the Hugging Face hub. Data alone, so that the extension can list it. */

export interface PublishedModel {
  /** What it is asked for by, and the folder it is kept in. */
  name: string;
  title: string;
  /** Repository on the hub. */
  repository: string;
  /** Names that the weights may have there; the first that exists is taken. */
  files: readonly string[];
  /** Key of `knownArchitectures`. */
  architecture: string;
  /** Values that images are normalised with: OpenAI CLIP's, or mean and deviation 0.5. */
  normalisation: 'clip' | 'half';
  licence: string;
  /** About how many bytes it is to load; the hub tells exactly. */
  bytes: number;
  /** SHA-256 of the weights that this version was written for; another is loaded with a warning. */
  sha256?: string;
}

const openClipFiles = ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin'] as const;

/** What OpenAI's model card asks for. */
const openAiLicence =
  "MIT (OpenAI's CLIP), published for research: its model card puts deployment out of scope";
const laionLicence = 'MIT; its model card puts deployment out of scope';

type Own = Pick<PublishedModel, 'name' | 'title' | 'repository' | 'architecture' | 'bytes'> &
  Partial<PublishedModel>;

const openAi = (model: Own): PublishedModel => ({
  files: openClipFiles,
  normalisation: 'clip',
  licence: openAiLicence,
  ...model,
});

const openClip = (model: Own): PublishedModel => ({
  files: openClipFiles,
  normalisation: 'clip',
  licence: laionLicence,
  ...model,
});

/** From the authors: the OpenCLIP copies of EVA-02 hold its image tower in timm's layout. */
const evaClip = (model: Omit<Own, 'repository' | 'files'>, file: string): PublishedModel => ({
  repository: 'QuanSun/EVA-CLIP',
  files: [file],
  normalisation: 'clip',
  licence: 'MIT (EVA-CLIP)',
  ...model,
});

/** In the order in which they are listed. */
export const publishedModels: readonly PublishedModel[] = [
  openAi({
    name: 'ViT-B-16-openai',
    title: 'OpenAI CLIP ViT-B/16',
    repository: 'timm/vit_base_patch16_clip_224.openai',
    architecture: 'ViT-B-16-quickgelu',
    bytes: 599e6,
    sha256: '4b8699299b1e8997753c64b052ba32031449d5d853f55a039148560ee02b820f',
  }),
  openAi({
    name: 'ViT-B-32-openai',
    title: 'OpenAI CLIP ViT-B/32',
    repository: 'timm/vit_base_patch32_clip_224.openai',
    architecture: 'ViT-B-32-quickgelu',
    bytes: 605e6,
    sha256: 'e6d1bd7789aa45192b3bf90570a789b478bae1b74ebcce7eddd908e83a2b7c31',
  }),
  openAi({
    name: 'ViT-L-14-openai',
    title: 'OpenAI CLIP ViT-L/14',
    repository: 'timm/vit_large_patch14_clip_224.openai',
    architecture: 'ViT-L-14-quickgelu',
    bytes: 1.71e9,
    sha256: '9ce2e8a8ebfff3793d7d375ad6d3c35cb9aebf3de7ace0fc7308accab7cd207e',
  }),
  openAi({
    name: 'ViT-L-14-336-openai',
    title: 'OpenAI CLIP ViT-L/14 at 336 px',
    repository: 'timm/vit_large_patch14_clip_336.openai',
    architecture: 'ViT-L-14-336-quickgelu',
    bytes: 1711828444,
    sha256: 'fbc415c3d0d7b79faed8f5ccfb740c32b7c4f5ffe7283b851f89c6231c01a8e0',
  }),
  evaClip(
    { name: 'EVA02-B-16', title: 'EVA-02 CLIP B/16', architecture: 'EVA02-CLIP-B-16', bytes: 300e6 },
    'EVA02_CLIP_B_psz16_s8B.pt',
  ),
  evaClip(
    {
      name: 'EVA02-L-14-336',
      title: 'EVA-02 CLIP L/14 at 336 px',
      architecture: 'EVA02-CLIP-L-14-336',
      bytes: 857e6,
    },
    'EVA02_CLIP_L_336_psz14_s6B.pt',
  ),
  openClip({
    name: 'ViT-B-32-laion2b',
    title: 'OpenCLIP ViT-B/32, LAION-2B',
    repository: 'laion/CLIP-ViT-B-32-laion2B-s34B-b79K',
    architecture: 'ViT-B-32',
    bytes: 605e6,
  }),
  openClip({
    name: 'ViT-B-16-laion2b',
    title: 'OpenCLIP ViT-B/16, LAION-2B',
    repository: 'laion/CLIP-ViT-B-16-laion2B-s34B-b88K',
    architecture: 'ViT-B-16',
    bytes: 599e6,
  }),
  openClip({
    name: 'ViT-L-14-laion2b',
    title: 'OpenCLIP ViT-L/14, LAION-2B',
    repository: 'laion/CLIP-ViT-L-14-laion2B-s32B-b82K',
    architecture: 'ViT-L-14',
    normalisation: 'half',
    bytes: 1.71e9,
  }),
  openClip({
    name: 'ViT-H-14-laion2b',
    title: 'OpenCLIP ViT-H/14, LAION-2B',
    repository: 'laion/CLIP-ViT-H-14-laion2B-s32B-b79K',
    architecture: 'ViT-H-14',
    bytes: 3.94e9,
  }),
  openClip({
    name: 'ViT-g-14-laion2b',
    title: 'OpenCLIP ViT-g/14, LAION-2B',
    repository: 'laion/CLIP-ViT-g-14-laion2B-s34B-b88K',
    architecture: 'ViT-g-14',
    bytes: 5.47e9,
  }),
  openClip({
    name: 'ViT-bigG-14-laion2b',
    title: 'OpenCLIP ViT-bigG/14, LAION-2B',
    repository: 'laion/CLIP-ViT-bigG-14-laion2B-39B-b160k',
    architecture: 'ViT-bigG-14',
    bytes: 10.2e9,
  }),
  openAi({
    name: 'RN50-openai',
    title: 'OpenAI CLIP RN50 (inference)',
    repository: 'timm/resnet50_clip.openai',
    architecture: 'RN50-quickgelu',
    bytes: 408e6,
    sha256: 'da0baa37fb2211eee5729ab69ed587eb10d48f5b7076ceeed01552fc3d4cb4ee',
  }),
];

/** `599 MB`, `1.71 GB`: as the hub counts, in powers of ten. */
export function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
