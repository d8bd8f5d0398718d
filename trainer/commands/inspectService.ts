import { parseArgs } from 'node:util';
import { createEngine } from '../engines/createEngine.ts';
import { openInspector } from '../inspect/inspector.ts';
import { InspectService } from '../inspect/service.ts';
import { checkRange } from '../training/settings.ts';
import { UsageError } from '../usageError.ts';

const help = `usage: clipself inspect-service --cache DIR [--idle-timeout 600] [--models 2] [--model-memory-gib 4]
                                [--cache-images 20] [--cache-gib 2] [--memory-limit-gib G] [--engine E] [--threads N]

Internal: answers the inspector panel over stdin and stdout (JSON-RPC) and keeps models loaded. Ends when stdin closes
or when nothing was asked for --idle-timeout seconds.`;

const gib = 2 ** 30;

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new UsageError(`--${name} must be a positive number; got ${text}`);
  return value;
}

/** `clipself inspect-service`. */
export async function inspectServiceCommand(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      cache: { type: 'string' },
      'idle-timeout': { type: 'string', default: '600' },
      models: { type: 'string', default: '2' },
      'model-memory-gib': { type: 'string', default: '4' },
      'cache-images': { type: 'string', default: '20' },
      'cache-gib': { type: 'string', default: '2' },
      'memory-limit-gib': { type: 'string', default: '1e6' },
      engine: { type: 'string', default: 'auto' },
      threads: { type: 'string', default: '0' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  if (values.cache === undefined)
    throw new UsageError('inspect-service needs --cache (clipself inspect-service --help)');
  const number = (name: Exclude<keyof typeof values, 'help' | 'cache'>): number =>
    positive(name, String(values[name]));
  const threads = Number(values.threads);
  checkRange('threads', Number.isNaN(threads) ? values.threads : threads);
  // Standard output carries messages and nothing else.
  console.log = console.error;
  console.info = console.error;
  console.debug = console.error;
  const engine = await createEngine(values.engine, threads);
  const inspector = await openInspector(engine, {
    cacheFolder: values.cache,
    cache: { images: number('cache-images'), bytes: number('cache-gib') * gib },
    models: number('models'),
    bytes: number('model-memory-gib') * gib,
    memoryLimit: number('memory-limit-gib') * gib,
  });
  const idleTimeout = number('idle-timeout') * 1000;
  await new InspectService(process.stdin, process.stdout, inspector.handlers, idleTimeout).run();
  await inspector.dispose();
  await engine.dispose();
  // An idle service still has its input open, which would keep the process alive.
  process.stdin.destroy();
}
