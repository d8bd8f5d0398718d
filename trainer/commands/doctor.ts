import os from 'node:os';
import { parseArgs } from 'node:util';
import { type EngineReport, probeEngine } from '../engineChoice/probeEngine.ts';
import { concreteEngines } from '../engines/createEngine.ts';
import { version } from '../version.ts';

const help = `usage: clipself doctor [--json]

Tries each engine on a small product and says which work here and why the others do not.`;

/** `clipself doctor`. */
export async function doctorCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const machine = {
    clipself: version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cores: os.availableParallelism(),
    memoryGib: Number((os.totalmem() / 2 ** 30).toFixed(1)),
  };
  const engines: EngineReport[] = [];
  for (const name of concreteEngines) engines.push(await probeEngine(name));
  if (values.json) console.log(JSON.stringify({ ...machine, engines }));
  else {
    console.log(`clipself ${machine.clipself}, Node ${machine.node}, ${machine.platform}`);
    console.log(`${machine.cores} cores, ${machine.memoryGib} GiB memory`);
    for (const { engine, works, detail } of engines) console.log(`${works ? '✓' : '✗'} ${engine}: ${detail}`);
  }
  if (!engines.some(({ works }) => works)) throw new Error('no engine works here');
}
