/** Installed MPI launchers, and jobs under them as child processes. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { startProcess, type TrainerProcess, trainerProgram } from './trainingFixture.ts';

export interface Launcher {
  name: string;
  program: string;
  options: readonly string[];
}

const known: readonly Launcher[] = [
  { name: 'Open MPI', program: 'mpirun.openmpi', options: ['--oversubscribe', '--bind-to', 'none'] },
  { name: 'MPICH', program: 'mpirun.mpich', options: [] },
];

/** The launcher, or why it cannot be used. */
export function findLauncher(name: string): Launcher | string {
  const launcher = known.find(each => each.name === name)!;
  try {
    execFileSync(launcher.program, ['--version'], { stdio: 'ignore' });
    return launcher;
  } catch {
    return `${launcher.program} is not there (Debian: apt install openmpi-bin mpich)`;
  }
}

/** Runs `node` with these arguments on `ranks` ranks. */
export function startRanks(launcher: Launcher, ranks: number, args: readonly string[]): TrainerProcess {
  const environment = { ...process.env, OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' };
  const all = [...launcher.options, '-n', String(ranks), process.execPath, ...args];
  return startProcess(launcher.program, all, environment);
}

/** `clipself train` on `ranks` ranks. */
export const startTrainingRanks = (
  launcher: Launcher,
  ranks: number,
  args: readonly string[],
): TrainerProcess => startRanks(launcher, ranks, [trainerProgram, 'train', ...args]);

const rankVariables = ['OMPI_COMM_WORLD_RANK', 'PMI_RANK'];

/** Process of a rank of the job whose run directory is `out`; undefined while it is not there. */
export function processOfRank(rank: number, out: string): number | undefined {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(Number)
    .find(pid => {
      const read = (file: string): string[] => {
        try {
          return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');
        } catch {
          return [];
        }
      };
      return (
        read('cmdline').includes(out) &&
        read('cmdline').includes(trainerProgram) &&
        rankVariables.some(name => read('environ').includes(`${name}=${rank}`))
      );
    });
}
