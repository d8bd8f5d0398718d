import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { add } from '../../graph/operations/arithmetic.ts';
import { Value } from '../../graph/value.ts';
import { lowerToOnnx, onnxOutputName } from './lower.ts';
import { webGpuError } from './webGpuErrors.ts';

/** A graphics card that ONNX Runtime found in the machine; the identifiers are those of the PCI bus. */
export interface GraphicsCard {
  vendor: string;
  vendorId: string;
  deviceId: string;
}

export type WebGpuProbe =
  | {
      works: true;
      /** Cards of the machine, of which WebGPU takes the fastest; none where a program on the processor plays one. */
      cards: readonly GraphicsCard[];
      /** From the start of the process to the first result. */
      seconds: number;
    }
  | { works: false; reason: string };

/** Runs a model on the card in a process of its own: `require` of the first argument, the model in base64, where its result lies, and its name. */
const program = `
const { env, InferenceSession, Tensor } = require(process.argv[1]);
env.logLevel = 'info';
const one = new Tensor('float32', Float32Array.of(1), [1]);
const [, , model, location, output] = process.argv;
const options = { executionProviders: ['webgpu'], preferredOutputLocation: location, logSeverityLevel: 3 };
InferenceSession.create(Buffer.from(model, 'base64'), options)
  // Of a tensor too large, some drivers tell their limit at the second try only.
  .then(session => session.run({ x: one }).catch(first => session.run({ x: one }).catch(second => {
    throw new Error(first.message + '\\n' + second.message);
  })))
  .then(results => console.log(JSON.stringify(location === 'cpu' ? { sum: results[output].data[0] } : {})),
    error => console.log(JSON.stringify({ error: String(error.message) })));
`;

/**
 * Runs a model with an input `x` of one number, which is 1, on the card in a child process; its result stays there.
 *
 * @returns ONNX Runtime's error where it fails.
 */
export async function runOnCard(model: Uint8Array, timeout: number): Promise<{ error: string } | object> {
  const { stdout, stderr, failure } = await runProgram(model, 'gpu-buffer', timeout);
  const { error = null } = JSON.parse(answerIn(stdout) ?? JSON.stringify({ error: failure })) as {
    error?: string;
  };
  // What the device said first is on standard error.
  return error === null ? {} : { error: `${error}\n${stderr}` };
}

const answerIn = (stdout: string): string | undefined =>
  stdout.split('\n').find(line => line.startsWith('{'));

function runProgram(model: Uint8Array, location: 'cpu' | 'gpu-buffer', timeout: number) {
  const library = createRequire(import.meta.url).resolve('onnxruntime-node');
  const encoded = Buffer.from(model).toString('base64');
  return runNode(['-e', program, library, encoded, location, onnxOutputName('sum')], timeout);
}

/**
 * Whether WebGPU works on this machine, tried in a child process: a broken graphics driver may end the process that
 * loads it.
 *
 * @param timeout milliseconds; some drivers take seconds to start, and a hung one never does.
 */
export async function probeWebGpu(timeout = 30_000): Promise<WebGpuProbe> {
  const x = Value.input('x', [1]);
  const start = performance.now();
  const { stdout, stderr, failure } = await runProgram(lowerToOnnx({ sum: add(x, x) }), 'cpu', timeout);
  const answer = answerIn(stdout);
  if (!answer)
    return { works: false, reason: `the graphics driver ended the process that tried it: ${failure}` };
  const { sum, error } = JSON.parse(answer) as { sum?: number; error?: string };
  if (error !== undefined) {
    return { works: false, reason: webGpuError(error, 'trying the card').message };
  }
  if (sum !== 2) return { works: false, reason: `the graphics card adds 1 and 1 to ${sum}` };
  return { works: true, cards: cardsIn(stderr), seconds: (performance.now() - start) / 1000 };
}

function runNode(
  args: readonly string[],
  timeout: number,
): Promise<{ stdout: string; stderr: string; failure: string }> {
  // Within VS Code the program is Electron.
  const environment = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
  return new Promise(resolve => {
    execFile(
      process.execPath,
      args,
      { timeout, env: environment, maxBuffer: 1 << 24, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        const failure = error?.killed ? `no answer within ${timeout / 1000} s` : (error?.signal ?? '');
        resolve({ stdout, stderr, failure: String(failure || (error?.code ?? 'it said nothing')) });
      },
    );
  });
}

/** ONNX Runtime writes a line for every device of the machine; type 1 is a graphics card. */
function cardsIn(log: string): GraphicsCard[] {
  const line = /OrtHardwareDevice \{vendor_id:(\w+), device_id:(\w+), vendor:([^,]*), type:1\b/g;
  const cards = [...log.matchAll(line)].map(([, vendorId, deviceId, vendor]) => ({
    vendor: vendor!,
    vendorId: vendorId!,
    deviceId: deviceId!,
  }));
  return cards.filter(
    (card, index) => cards.findIndex(({ deviceId }) => deviceId === card.deviceId) === index,
  );
}
