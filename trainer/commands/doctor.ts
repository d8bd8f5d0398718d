import os from 'node:os';
import { parseArgs } from 'node:util';
import { createEngine } from '../engines/createEngine.ts';
import { readFloats } from '../engines/engine.ts';
import { matmul } from '../graph/operations/product.ts';
import { Value } from '../graph/value.ts';
import { version } from '../version.ts';

const help = `usage: clipself doctor [--json]

Tries each engine on a small product and says which work here and why the others do not.`;

interface EngineReport {
  engine: string;
  works: boolean;
  detail: string;
}

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
  const engines = [await tryEngine('cpu')];
  if (values.json) console.log(JSON.stringify({ ...machine, engines }));
  else {
    console.log(`clipself ${machine.clipself}, Node ${machine.node}, ${machine.platform}`);
    console.log(`${machine.cores} cores, ${machine.memoryGib} GiB memory`);
    for (const { engine, works, detail } of engines) console.log(`${works ? '✓' : '✗'} ${engine}: ${detail}`);
  }
  if (!engines.some(({ works }) => works)) throw new Error('no engine works here');
}

async function tryEngine(name: string): Promise<EngineReport> {
  try {
    const engine = await createEngine(name, 0);
    try {
      const shape = [2, 2];
      const program = await engine.compile({
        product: matmul(Value.input('a', shape), Value.input('b', shape)),
      });
      const [a, b] = [Float32Array.of(1, 2, 3, 4), Float32Array.of(5, 6, 7, 8)];
      const { product } = await program.run({ a: engine.upload(shape, a), b: engine.upload(shape, b) });
      const found = [...(await readFloats(engine, product!))].join(', ');
      const right = found === '19, 22, 43, 50';
      return {
        engine: name,
        works: right,
        detail: right ? engine.version : `gives a wrong product: ${found}`,
      };
    } finally {
      await engine.dispose();
    }
  } catch (error) {
    return { engine: name, works: false, detail: error instanceof Error ? error.message : String(error) };
  }
}
