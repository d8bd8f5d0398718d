/** Network namespaces joined by a bridge, each behind a link of limited bandwidth: machines of a slow network on one (as root, on Linux). */
import { execFileSync } from 'node:child_process';
import { chmod, writeFile } from 'node:fs/promises';

export interface Machines {
  /** How `mpirun` of Open MPI reaches them: the words before the program. */
  launcher: readonly string[];
  /** Bytes that left each machine since it was set up. */
  sentBytes(): number[];
  remove(): void;
}

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const quietly = (...args: string[]): void => {
  try {
    execFileSync('ip', args, { stdio: 'ignore' });
  } catch {
    // It is not there.
  }
};

/**
 * @param rate Of each link and direction, such as `1gbit`.
 * @param agent File for the program that stands for a remote shell.
 */
export async function limitedMachines(count: number, rate: string, agent: string): Promise<Machines> {
  const space = (machine: number): string => `clipself${machine}`;
  const remove = (): void => {
    for (let machine = 1; machine <= count; machine++) quietly('netns', 'del', space(machine));
    quietly('link', 'del', 'clipself');
  };
  remove();
  ip('link', 'add', 'clipself', 'type', 'bridge');
  ip('link', 'set', 'clipself', 'up');
  for (let machine = 1; machine <= count; machine++) {
    const [name, outer] = [space(machine), `clipselfv${machine}`];
    ip('netns', 'add', name);
    ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
    ip('link', 'set', outer, 'master', 'clipself', 'up');
    ip('-n', name, 'link', 'set', 'lo', 'up');
    ip('-n', name, 'addr', 'add', `10.77.0.${machine}/24`, 'dev', 'eth0');
    ip('-n', name, 'link', 'set', 'eth0', 'up');
    const limit = [
      'qdisc',
      'add',
      'dev',
      'eth0',
      'root',
      'tbf',
      'rate',
      rate,
      'burst',
      '256kb',
      'latency',
      '50ms',
    ];
    execFileSync('ip', ['netns', 'exec', name, 'tc', ...limit]);
  }
  // Open MPI takes processes of one host name for those of one machine.
  const inside = 'exec ip netns exec "clipself$n" unshare --uts sh -c "hostname machine$n; $*"';
  await writeFile(agent, `#!/bin/sh\nhost=$1; shift\nn=\${host##*.}\n${inside}\n`);
  await chmod(agent, 0o755);
  const hosts = Array.from({ length: count }, (_, index) => `10.77.0.${index + 1}:1`).join(',');
  const launcher = [
    ...['ip', 'netns', 'exec', space(1), 'unshare', '--uts', 'sh', '-c', 'hostname machine1; exec "$0" "$@"'],
    ...['mpirun.openmpi', '--mca', 'plm_rsh_agent', agent, '--mca', 'btl', 'tcp,self'],
    ...['--mca', 'btl_tcp_if_include', 'eth0', '--mca', 'oob_tcp_if_include', 'eth0', '--host', hosts],
  ];
  const sentBytes = (): number[] =>
    Array.from({ length: count }, (_, index) =>
      Number(
        execFileSync(
          'ip',
          ['netns', 'exec', space(index + 1), 'cat', '/sys/class/net/eth0/statistics/tx_bytes'],
          {
            encoding: 'utf8',
          },
        ),
      ),
    );
  return { launcher, sentBytes, remove };
}
