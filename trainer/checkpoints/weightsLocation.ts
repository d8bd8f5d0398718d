import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { FileError, naming } from './fileError.ts';

/** Names under which model hubs and training runs keep the one file that matters, best first. */
const usualNames = [
  'open_clip_model.safetensors',
  'model.safetensors',
  'student.safetensors',
  'weights.safetensors',
  'model.safetensors.index.json',
];
const usualPickleNames = ['open_clip_pytorch_model.bin', 'pytorch_model.bin', 'pytorch_model.bin.index.json'];
const pickleEndings = new Set(['.pt', '.pth', '.bin', '.ckpt']);

/** Whether a file's name says that PyTorch wrote it. */
export const namesPytorch = (file: string): boolean => pickleEndings.has(path.extname(file).toLowerCase());

/** The only file of a kind; undefined when there is none, an error when there are several. */
function only(directory: string, kind: string, found: readonly string[]): string | undefined {
  if (found.length <= 1) return found[0];
  const some = found.slice(0, 4).join(', ');
  throw new FileError(
    directory,
    `it holds ${found.length} ${kind} files (${some}, …)`,
    'Name the file itself',
  );
}

/** The weights file of a model folder. */
async function weightsIn(directory: string): Promise<string> {
  const names = (await readdir(directory)).sort();
  const found =
    usualNames.find(name => names.includes(name)) ??
    only(
      directory,
      '.safetensors',
      names.filter(name => name.endsWith('.safetensors')),
    ) ??
    usualPickleNames.find(name => names.includes(name)) ??
    only(directory, 'PyTorch', names.filter(namesPytorch));
  if (found !== undefined) return path.join(directory, found);
  throw new FileError(
    directory,
    'it holds no .safetensors weights and no PyTorch file',
    'Check the path or name the weights file itself',
  );
}

/**
 * The file that `--model` means: the file itself, or the one of a folder that holds the weights; for weights in
 * several files their index.
 *
 * @throws FileError when there is none, or when it is not clear which.
 */
export async function locateWeights(model: string): Promise<string> {
  const resolved = path.resolve(model);
  return naming(resolved, 'read', async () => {
    const isDirectory = (await stat(resolved)).isDirectory();
    return isDirectory ? weightsIn(resolved) : resolved;
  });
}
