import koffi from 'koffi';

/** Parameters of mallopt (malloc.h). */
const trimThreshold = -1;
const mmapThreshold = -3;

/** Free memory up to here stays with the process. */
const keptBytes = 2 ** 30;

/** Tensors from here on still come straight from the system. Older versions of glibc take 32 MiB at most. */
const mappedBytes = [64 * 2 ** 20, 32 * 2 ** 20];

/** Environment variables by which somebody has chosen for this process. */
const choices = ['MALLOC_TRIM_THRESHOLD_', 'MALLOC_MMAP_THRESHOLD_', 'GLIBC_TUNABLES'];

/**
 * Has glibc keep memory that is free between two tensors of a run. By itself it returns large ones to the system at
 * once, and 4 KiB at a time are mapped and cleared anew for the next: an eighth of a training step at 1024 px and of the
 * teacher's pass over twenty crops, whose programs work without an arena. Does nothing with other C libraries, in Electron, which may bring an allocator of its
 * own, or where the environment has chosen.
 *
 * @returns whether glibc took it.
 */
export function keepFreedMemory(
  environment: NodeJS.ProcessEnv = process.env,
  versions: NodeJS.ProcessVersions = process.versions,
): boolean {
  const chosen = choices.some(name => environment[name]);
  if (process.platform !== 'linux' || versions.electron !== undefined || chosen) return false;
  try {
    const mallopt = koffi.load('libc.so.6').func('int mallopt(int, int)') as (
      parameter: number,
      value: number,
    ) => number;
    return (
      mallopt(trimThreshold, keptBytes) === 1 &&
      mappedBytes.some(bytes => mallopt(mmapThreshold, bytes) === 1)
    );
  } catch {
    return false;
  }
}
