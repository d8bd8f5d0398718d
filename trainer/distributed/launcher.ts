/** Which kind of MPI library a launcher belongs to; null where it starts processes of any. */
export type MpiKind = 'Open MPI' | 'MPICH';

/** What a launcher told this process about the processes it started together. */
export interface Launch {
  /** How many; null where only the library knows. */
  size: number | null;
  kind: MpiKind | null;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the environment that `mpirun` and `srun` give to their processes.
 *
 * @returns null for a process on its own, also for a single one under a launcher: it needs no MPI.
 */
export function findLaunch(environment: Environment = process.env): Launch | null {
  const launch = launchOf(environment);
  return launch === null || launch.size === 1 ? null : launch;
}

function launchOf(environment: Environment): Launch | null {
  const count = (name: string): number | null => {
    const value = Number(environment[name] ?? Number.NaN);
    return Number.isSafeInteger(value) && value > 0 ? value : null;
  };
  const openMpi = count('OMPI_COMM_WORLD_SIZE');
  if (openMpi !== null) return { size: openMpi, kind: 'Open MPI' };
  // A batch script has most of srun's variables as well, but is no step: a trainer in it runs on its own.
  const slurm = count('SLURM_STEP_NUM_TASKS');
  const hydra = count('PMI_SIZE');
  if (hydra !== null) return { size: hydra, kind: slurm === null ? 'MPICH' : null };
  if (slurm !== null) return { size: slurm, kind: null };
  return environment.PMIX_RANK === undefined ? null : { size: null, kind: null };
}
