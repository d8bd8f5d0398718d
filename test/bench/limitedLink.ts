/**
 * Network namespaces joined by a switch, each behind a link of limited bandwidth and set delay: machines of a slow network on
 * one (as root, on Linux).
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface Machines {
  /** How `mpirun` of Open MPI reaches them: the words before the program. */
  launcher: readonly string[];
  /** Bytes that left each machine since it was set up. */
  sentBytes(): number[];
  /** What the link between the first two does, asked of them. */
  measure(): Promise<LinkMeasurement>;
  remove(): Promise<void>;
}

export interface LinkMeasurement {
  /** Of one byte there and one back: the median, and what 95 % stay below. */
  roundTripMs: number;
  slowRoundTripMs: number;
  /** Of one transfer of 128 MiB. */
  bitsPerSecond: number;
}

export interface Link {
  /** Of each link and direction, such as `1gbit`. */
  rate: string;
  /** From machine to machine, one way; 0 adds none. */
  delayMicroseconds: number;
}

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const quietly = (...args: string[]): void => {
  try {
    execFileSync('ip', args, { stdio: 'ignore' });
  } catch {
    // It is not there.
  }
};
const space = (machine: number): string => `clipself${machine}`;
const inside = (machine: number): string[] => ['netns', 'exec', space(machine)];
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Why namespaces with such links cannot be made here; null where they can. */
export function linkObstacle({ delayMicroseconds }: Link): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'links are set up as root on Linux';
  const works = (program: string, ...args: string[]): boolean => spawnSync(program, args).status === 0;
  if (!works('ip', 'netns', 'add', 'clipself-try')) return 'network namespaces need CAP_SYS_ADMIN and ip';
  quietly('netns', 'del', 'clipself-try');
  if (!works('tc', '-V')) return 'there is no tc to limit links';
  if (delayMicroseconds > 0 && !works('cc', '--version')) return 'delays need cc, a C compiler';
  return null;
}

/** @param folder For the programs that are made. */
export async function limitedMachines(count: number, link: Link, folder: string): Promise<Machines> {
  const machines = Array.from({ length: count }, (_, index) => index + 1);
  let delayBridge: ChildProcess | null = null;
  const remove = async (): Promise<void> => {
    if (delayBridge?.exitCode === null) {
      delayBridge.stdin!.end();
      await once(delayBridge, 'exit');
    }
    for (const machine of machines) quietly('netns', 'del', space(machine));
    quietly('link', 'del', 'clipself');
  };
  await remove();
  for (const machine of machines) addMachine(machine, link.rate);
  const outer = machines.map(machine => `clipselfv${machine}`);
  if (link.delayMicroseconds > 0) delayBridge = await startDelayBridge(link.delayMicroseconds, outer, folder);
  else joinByBridge(outer);
  const agent = path.join(folder, 'agent');
  // Open MPI takes processes of one host name for those of one machine.
  const enter = 'exec ip netns exec "clipself$n" unshare --uts sh -c "hostname machine$n; $*"';
  await writeFile(agent, `#!/bin/sh\nhost=$1; shift\nn=\${host##*.}\n${enter}\n`);
  await chmod(agent, 0o755);
  const hosts = machines.map(machine => `${addressOf(machine)}:1`).join(',');
  const launcher = [
    ...['ip', ...inside(1), 'unshare', '--uts', 'sh', '-c', 'hostname machine1; exec "$0" "$@"'],
    ...['mpirun.openmpi', '--mca', 'plm_rsh_agent', agent, '--mca', 'btl', 'tcp,self'],
    ...['--mca', 'btl_tcp_if_include', 'eth0', '--mca', 'oob_tcp_if_include', 'eth0', '--host', hosts],
  ];
  const sentBytes = (): number[] =>
    machines.map(machine => Number(ip(...inside(machine), 'cat', '/sys/class/net/eth0/statistics/tx_bytes')));
  return { launcher, sentBytes, measure: measureLink, remove };
}

const addressOf = (machine: number): string => `10.77.0.${machine}`;

/** A namespace whose `eth0` sends at the rate; its other end lies outside. */
function addMachine(machine: number, rate: string): void {
  const [name, outer] = [space(machine), `clipselfv${machine}`];
  ip('netns', 'add', name);
  ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
  ip('link', 'set', outer, 'up');
  ip('-n', name, 'link', 'set', 'lo', 'up');
  ip('-n', name, 'addr', 'add', `${addressOf(machine)}/24`, 'dev', 'eth0');
  ip('-n', name, 'link', 'set', 'eth0', 'up');
  const limit = ['rate', rate, 'burst', '256kb', 'latency', '50ms'];
  ip(...inside(machine), 'tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', ...limit);
}

function joinByBridge(outer: readonly string[]): void {
  ip('link', 'add', 'clipself', 'type', 'bridge');
  ip('link', 'set', 'clipself', 'up');
  for (const name of outer) ip('link', 'set', name, 'master', 'clipself');
}

/** Kernels need not have netem: `delayBridge.c` holds each frame. */
async function startDelayBridge(
  microseconds: number,
  outer: readonly string[],
  folder: string,
): Promise<ChildProcess> {
  const program = path.join(folder, 'delayBridge');
  execFileSync('cc', ['-O2', '-o', program, here('delayBridge.c')]);
  return started(program, [String(microseconds), ...outer]);
}

/** A program that says when it is ready. */
async function started(program: string, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'exit').then(() => {
    throw new Error(`${path.basename(program)} ${args.join(' ')} ended before it was ready`);
  });
  await Promise.race([once(child.stdout!, 'data'), ended]);
  ended.catch(() => {});
  return child;
}

async function measureLink(): Promise<LinkMeasurement> {
  const probe = (machine: number, role: string): string[] => [
    ...[...inside(machine), process.execPath, here('linkProbe.mjs'), role, addressOf(2)],
  ];
  const server = await started('ip', probe(2, 'serve'));
  try {
    const { stdout } = await promisify(execFile)('ip', probe(1, 'ask'), { timeout: 60_000 });
    return JSON.parse(stdout) as LinkMeasurement;
  } finally {
    server.kill();
  }
}
