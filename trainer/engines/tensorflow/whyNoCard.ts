/** Makes TensorFlow say which of NVIDIA's libraries it looks for and what comes of it. */
export const talkative: Readonly<NodeJS.ProcessEnv> = {
  TF_CPP_MIN_LOG_LEVEL: '0',
  TF_CPP_VMODULE: 'dso_loader=1',
};

/** `Could not load dynamic library 'A'; dlerror: B: cannot open shared object file …`, B being A or what A needs. */
const missingLibrary = /Could not load dynamic library '([^']+)'(?:; dlerror: ([^:;\s]+): cannot open)?/g;

/**
 * Why TensorFlow takes no card, and what to do, from what it says while it looks for one.
 *
 * @param said standard error of a process under `talkative`.
 */
export function whyNoCard(said: string): string {
  const missing = [...said.matchAll(missingLibrary)].map(([, library, needed]) => needed ?? library!);
  const lacks = (name: string): boolean => missing.some(library => library.startsWith(name));
  if (lacks('libcuda.so') || lacks('nvcuda'))
    return 'libcuda.so.1, a part of NVIDIA’s driver, is not found: install the driver (in a container, give the container the card)';
  if (lacks('libnvidia-ml.so'))
    return 'libnvidia-ml.so.1, a part of NVIDIA’s driver, is not found: install the whole driver (in a container, let NVIDIA_DRIVER_CAPABILITIES contain utility)';
  const refused = /failed call to cuInit: (.+)/.exec(said)?.[1];
  if (refused)
    return `NVIDIA’s driver does not start: ${refused.replace(/^.*Failed call to cuInit: /, '')}. Try nvidia-smi`;
  const old = /Ignoring visible gpu device .*/.exec(said)?.[0];
  if (old) return `TensorFlow does not take this card: ${old.slice(0, 300)}`;
  // Libraries that TensorFlow can do without come after a card was found only.
  if (missing.length > 0)
    return `these libraries of CUDA are not found: ${[...new Set(missing)].join(', ')}. Install TensorFlow again with 'clipself setup-tensorflow --cuda'`;
  return 'TensorFlow finds no card and gives no reason: nvidia-smi lists the cards that the driver sees, CUDA_VISIBLE_DEVICES hides them';
}
