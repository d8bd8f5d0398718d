/** CUDA for TensorFlow: that its libraries are found where they were unpacked, and what is said when one is not. */

import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { linkCudaLibraries } from '../../trainer/engines/tensorflow/setup/linkCuda.ts';
import { whyNoCard } from '../../trainer/engines/tensorflow/whyNoCard.ts';
import { skipBecause } from '../support/skip.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

describe('the libraries of CUDA', () => {
  let folder: TemporaryFolder;

  before(function () {
    if (process.platform === 'win32') skipBecause(this, 'the wheels with libraries are those of Linux');
  });
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  async function unpack(files: readonly string[]): Promise<void> {
    for (const name of files) {
      const file = folder.file(`libraries/nvidia/${name}`);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, name);
    }
  }

  const runtime = (): string => folder.file('libraries/nvidia/cuda_runtime/lib');

  it('are all found in the folder that TensorFlow looks in, also after a move', async () => {
    const files = [
      'cuda_runtime/lib/libcudart.so.12',
      'cusolver/lib/libcusolver.so.11',
      'cudnn/lib/libcudnn.so.9',
      'cusolver/include/cusolver.h',
      'cuda_runtime/lib/libcudart_static.a',
    ];
    await unpack(files);
    await linkCudaLibraries(folder.file('libraries'));
    await rename(folder.file('libraries'), folder.file('moved'));
    const place = folder.file('moved/nvidia/cuda_runtime/lib');
    assert.deepEqual((await readdir(place)).sort(), [
      ...['libcudart.so.12', 'libcudart_static.a', 'libcudnn.so.9', 'libcusolver.so.11'],
    ]);
    assert.equal(await readFile(`${place}/libcusolver.so.11`, 'utf8'), 'cusolver/lib/libcusolver.so.11');
  });

  it('keep their own files where two have one name, and need no runtime of their own', async () => {
    await unpack(['cuda_runtime/lib/libcudart.so.12', 'other/lib/libcudart.so.12']);
    await linkCudaLibraries(folder.file('libraries'));
    const text = await readFile(`${runtime()}/libcudart.so.12`, 'utf8');
    assert.equal(text, 'cuda_runtime/lib/libcudart.so.12');

    await unpack(['later/lib/libfirst.so.1']);
    await linkCudaLibraries(folder.file('libraries'));
    assert.deepEqual((await readdir(runtime())).sort(), ['libcudart.so.12', 'libfirst.so.1']);
  });
});

describe('a card that TensorFlow does not take', () => {
  const missing = (library: string, needed = library): string =>
    `I0000 00:00:1795783379.474485   22607 dso_loader.cc:144] Could not load dynamic library '${library}'; dlerror: ${needed}: cannot open shared object file: No such file or directory; LD_LIBRARY_PATH: /x`;

  it('has no driver', () => {
    assert.match(whyNoCard(missing('libcuda.so.1')), /^libcuda\.so\.1, a part of NVIDIA’s driver.*install/);
    assert.match(whyNoCard(missing('libnvidia-ml.so.1')), /NVIDIA_DRIVER_CAPABILITIES contain utility/);
  });

  it('lacks libraries, which are named once, also those that others need', () => {
    const said = [
      missing('libcusolver.so.11'),
      missing('libcusolver.so.11'),
      missing('libcusparse.so.12', 'libnvJitLink.so.12'),
      'W0000 gpu_device.cc:2365] Cannot dlopen some GPU libraries.',
    ].join('\n');
    assert.match(
      whyNoCard(said),
      /^these libraries of CUDA are not found: libcusolver\.so\.11, libnvJitLink\.so\.12\. Install TensorFlow again/,
    );
  });

  it('has a driver that does not start', () => {
    const said =
      'E0000 00:00:1795783329.516830   22178 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected';
    assert.equal(
      whyNoCard(said),
      'NVIDIA’s driver does not start: CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected. Try nvidia-smi',
    );
  });

  it('is too old', () => {
    const said =
      'I0000 gpu_device.cc:2400] Ignoring visible gpu device (device: 0, name: Tesla K80, compute capability: 3.7) with Cuda compute capability 3.7. The minimum required Cuda capability is 6.0.';
    assert.match(whyNoCard(said), /^TensorFlow does not take this card: Ignoring.*Tesla K80.*is 6\.0\.$/);
  });

  it('is not explained by TensorFlow', () => {
    assert.match(
      whyNoCard('I0000 port.cc:153] oneDNN custom operations are on.'),
      /gives no reason.*nvidia-smi/,
    );
  });
});
