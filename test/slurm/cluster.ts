/** A Slurm cluster of one node on this machine, run without systemd in a folder of its own, as root. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { openSync } from 'node:fs';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import os from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { TemporaryFolder } from '../support/temporaryFolder.ts';

export interface SlurmCluster {
  /** What sbatch, srun, squeue and scancel need to know. */
  environment: NodeJS.ProcessEnv;
  /** Runs one of Slurm's programs. */
  command(program: string, ...args: string[]): Promise<string>;
  stop(): Promise<void>;
}

const programs = ['munged', 'slurmctld', 'slurmd', 'sbatch', 'srun', 'squeue', 'scancel', 'scontrol'];
const packages = 'Debian: apt install slurm-wlm munge libpmix-dev';

/** Why a cluster cannot be set up here; null where it can. */
function clusterProblem(): string | null {
  if (process.platform !== 'linux') return 'a Slurm cluster for tests is set up on Linux only';
  if (process.getuid?.() !== 0) return 'setting up a Slurm cluster needs root';
  for (const program of programs)
    try {
      execFileSync('sh', ['-c', `command -v ${program}`], { stdio: 'ignore', env: withSystemPath() });
    } catch {
      return `${program} is not there (${packages})`;
    }
  return null;
}

/** Daemons lie where not every shell looks. */
const withSystemPath = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
});

/** Two processors, whatever the machine has: two tasks run side by side. */
const slots = 2;

/**
 * Starts a cluster whose node takes jobs and whose srun starts the ranks of Open MPI; why not, where the machine lacks
 * something. Stop it when done.
 *
 * @throws with the end of what the daemons logged.
 */
export async function startCluster(folder: TemporaryFolder): Promise<SlurmCluster | string> {
  const problem = clusterProblem();
  if (problem !== null) return problem;
  const cluster = await startDaemons(folder);
  try {
    await cluster.command('srun', '--mpi=pmix', 'true');
    return cluster;
  } catch (error) {
    await cluster.stop();
    // Anything else is no lack of the machine.
    if (!/can not load PMIx library/.test((error as Error).message)) throw error;
    return `srun can not load PMIx (${packages})`;
  }
}

/** Starts munged, slurmctld and slurmd, and waits until the node takes jobs. */
async function startDaemons(folder: TemporaryFolder): Promise<SlurmCluster> {
  const host = os.hostname();
  const file = (name: string): string => folder.file(`slurm/${name}`);
  for (const name of ['', 'state', 'spool']) await mkdir(file(name), { recursive: true });
  // munged refuses folders that others may write to, all the way up.
  await chmod(file(''), 0o755);
  await writeFile(file('munge.key'), randomBytes(128), { mode: 0o400 });
  const [controller, node] = await freePorts(2);
  const configuration = [
    'ClusterName=clipself',
    `SlurmctldHost=${host}(127.0.0.1)`,
    `SlurmctldPort=${controller}`,
    `SlurmdPort=${node}`,
    'SlurmUser=root',
    'SlurmdUser=root',
    'AuthType=auth/munge',
    // A job that is queued again waits until what it was allowed to do has expired: two minutes by default.
    `AuthInfo=socket=${file('munge.socket')},cred_expire=15`,
    'CredType=cred/munge',
    `StateSaveLocation=${file('state')}`,
    `SlurmdSpoolDir=${file('spool')}`,
    `SlurmctldPidFile=${file('slurmctld.pid')}`,
    `SlurmdPidFile=${file('slurmd.pid')}`,
    `SlurmctldLogFile=${file('slurmctld.log')}`,
    `SlurmdLogFile=${file('slurmd.log')}`,
    'ProctrackType=proctrack/linuxproc',
    'TaskPlugin=task/none',
    'MpiDefault=none',
    'SelectType=select/cons_tres',
    'SelectTypeParameters=CR_Core',
    'SchedulerType=sched/backfill',
    'JobRequeue=1',
    'ReturnToService=2',
    'KillWait=30',
    'MinJobAge=300',
    // A requeued job may start again at once.
    'SchedulerParameters=requeue_delay=1,bf_interval=5,sched_interval=5',
    'SlurmdParameters=config_overrides',
    `NodeName=${host} NodeAddr=127.0.0.1 CPUs=${slots} State=UNKNOWN`,
    // Jobs of the urgent partition push others back into the queue, which are warned and have a minute.
    'PreemptType=preempt/partition_prio',
    'PreemptMode=REQUEUE',
    'SlurmctldParameters=preempt_send_user_signal',
    `PartitionName=work Nodes=${host} Default=YES MaxTime=60 PriorityTier=1 GraceTime=60 PreemptMode=REQUEUE`,
    `PartitionName=urgent Nodes=${host} MaxTime=60 PriorityTier=2 PreemptMode=OFF`,
  ];
  await writeFile(file('slurm.conf'), `${configuration.join('\n')}\n`);
  const environment = { ...withSystemPath(), SLURM_CONF: file('slurm.conf') };
  const daemons: ChildProcess[] = [];
  const start = (program: string, args: string[]): void => {
    const output = openSync(file(`${program}.out`), 'w');
    daemons.push(spawn(program, args, { env: environment, stdio: ['ignore', output, output] }));
  };
  const command = async (program: string, ...args: string[]): Promise<string> =>
    (await promisify(execFile)(program, args, { env: environment })).stdout;
  const stop = async (): Promise<void> => {
    await command('scancel', '--full', '--user=root').catch(() => undefined);
    for (const daemon of daemons.reverse()) {
      const ended = new Promise(resolve => daemon.once('exit', resolve));
      if (daemon.exitCode !== null || daemon.signalCode !== null) continue;
      daemon.kill('SIGTERM');
      if ((await Promise.race([ended, delay(8000, 'late')])) === 'late') daemon.kill('SIGKILL');
    }
  };
  start('munged', [
    '--foreground',
    '--force',
    `--key-file=${file('munge.key')}`,
    `--socket=${file('munge.socket')}`,
    `--pid-file=${file('munged.pid')}`,
    `--seed-file=${file('munge.seed')}`,
    `--log-file=${file('munged.log')}`,
  ]);
  await delay(500);
  start('slurmctld', ['-D', '-f', file('slurm.conf')]);
  start('slurmd', ['-D', '-f', file('slurm.conf'), '-N', host]);
  for (let tries = 0; tries < 150; tries++) {
    await delay(200);
    const state = await command('sinfo', '--noheader', '--format=%t').catch(() => '');
    if (state.trim() === 'idle') return { environment, command, stop };
  }
  const logs = ['munged.out', 'slurmctld.out', 'slurmctld.log', 'slurmd.out', 'slurmd.log'];
  const ends = await Promise.all(
    logs.map(async name => `${name}: ${(await readFile(file(name), 'utf8').catch(() => '')).slice(-1500)}`),
  );
  await stop();
  throw new Error(`the cluster did not come up:\n${ends.join('\n')}`);
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer();
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve(server));
        }),
    ),
  );
  const ports = servers.map(server => (server.address() as { port: number }).port);
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
  return ports;
}
