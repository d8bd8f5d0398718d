import os from 'node:os';
import { parseArgs } from 'node:util';
import { ChoiceMemory } from '../engineChoice/choiceMemory.ts';
import { fastestEngine } from '../engineChoice/fastestEngine.ts';
import { type EngineReport, probeEngine } from '../engineChoice/probeEngine.ts';
import { concreteEngines } from '../engines/createEngine.ts';
import { version } from '../version.ts';
import { outputOptions } from './commonOptions.ts';

const help = `usage: clipself doctor [--forget] [--json]

Tries each engine on a small product and says which work here and why the others do not, and what \`--engine auto\` has
chosen for the models that it has met. It remembers for a week; --forget makes it measure again.`;

/** `clipself doctor`. */
export async function doctorCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      forget: { type: 'boolean', default: false },
      ...outputOptions,
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const memory = new ChoiceMemory();
  if (values.forget) await memory.forget();
  const machine = {
    clipself: version,
    node: process.version,
    platform: `${process.platform}-${process.arch}`,
    cores: os.availableParallelism(),
    memoryGib: Number((os.totalmem() / 2 ** 30).toFixed(1)),
  };
  const engines: EngineReport[] = [];
  for (const name of concreteEngines) engines.push(await probeEngine(name));
  const choices = [...(await memory.all())].map(([model, choice]) => {
    const { engine, reason } = fastestEngine(choice);
    return { model, engine, reason };
  });
  if (values.json) console.log(JSON.stringify({ ...machine, engines, choices }));
  else {
    console.log(`clipself ${machine.clipself}, Node ${machine.node}, ${machine.platform}`);
    console.log(`${machine.cores} cores, ${machine.memoryGib} GiB memory`);
    for (const { engine, works, detail } of engines) console.log(`${works ? '✓' : '✗'} ${engine}: ${detail}`);
    for (const { model, engine, reason } of choices)
      console.log(`auto takes ${engine} for ${model}: ${reason}`);
  }
  if (!engines.some(({ works }) => works)) throw new Error('no engine works here');
}
