import { mkdir, readdir, stat, symlink } from 'node:fs/promises';
import path from 'node:path';

/** The wheel of the CUDA runtime, in whose folder TensorFlow always looks. */
const searched = 'cuda_runtime';

/**
 * Lets TensorFlow find all of NVIDIA's libraries: it looks in the folders of most of their wheels, but (2.21) not in that
 * of cuSOLVER, and takes no card when one library is missing. Each is linked into a folder that it does look in; they
 * find each other from there as well, since all lie equally deep.
 *
 * @param folder where the wheels were unpacked, with `nvidia/NAME/lib`.
 */
export async function linkCudaLibraries(folder: string): Promise<void> {
  const nvidia = path.join(folder, 'nvidia');
  const target = path.join(nvidia, searched, 'lib');
  await mkdir(target, { recursive: true });
  const present = new Set(await readdir(target));
  for (const name of await readdir(nvidia)) {
    const lib = path.join(nvidia, name, 'lib');
    if (name === searched || !(await stat(lib).catch(() => null))?.isDirectory()) continue;
    for (const file of await readdir(lib)) {
      if (present.has(file) || !/\.so(\.|$)/.test(file)) continue;
      // Relative, so that the installation may be moved.
      await symlink(path.join('..', '..', name, 'lib', file), path.join(target, file));
      present.add(file);
    }
  }
}
