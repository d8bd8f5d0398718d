import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findNativePackages, isLoadedOn } from '../../extension/packaging/nativePackages.ts';
import {
  bundledFolders,
  describePackage,
  loadedPackages,
  thirdPartyNotices,
} from '../../extension/packaging/notices.ts';
import { pageOfInstalled } from '../../extension/packaging/readme.ts';
import { targetNamed } from '../../extension/packaging/targets.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

const linux = targetNamed('linux-x64');

describe('packaging', () => {
  let folder: TemporaryFolder;
  beforeEach(async () => {
    folder = await temporaryFolder();
  });
  afterEach(() => folder.remove());

  async function install(place: string, manifest: object, files: Record<string, string> = {}) {
    const directory = folder.file(place);
    await mkdir(directory, { recursive: true });
    const name = place.replace(/^.*node_modules\//, '');
    const text = JSON.stringify({ name, version: '1.2.3', ...manifest });
    for (const [file, content] of Object.entries({ ...files, 'package.json': text }))
      await writeFile(path.join(directory, file), content);
    return describePackage(directory);
  }

  describe('third-party notices', () => {
    it('take the packages that are in a bundle, nested ones too, and no others', () => {
      const bytes = (bytesInOutput: number) => ({ bytesInOutput });
      const inputs = {
        'trainer/cli.ts': bytes(9),
        'node_modules/@a/b/dist/x.js': bytes(5),
        'node_modules/@a/b/node_modules/c/y.js': bytes(5),
        'node_modules/typesOnly/z.js': bytes(0),
      };
      const output = { bytes: 9, inputs, imports: [], exports: [] };
      assert.deepEqual(bundledFolders({ outputs: { 'dist/cli.js': output } }), [
        'node_modules/@a/b',
        'node_modules/@a/b/node_modules/c',
      ]);
    });

    it('know what the bundles load besides Node and VS Code', () => {
      const imports = ['node:fs', 'fs/promises', 'vscode', '@a/b/c.js', 'sharp', './batchWorker.js'].map(
        name => ({ path: name, kind: 'import-statement' as const, external: true }),
      );
      const output = { bytes: 9, inputs: {}, imports, exports: [] };
      assert.deepEqual(loadedPackages({ outputs: { 'dist/cli.js': output } }), ['@a/b', 'sharp']);
    });

    it('name each package with version, licence and address, and print a shared text once', async () => {
      const repository = { type: 'git', url: 'git+https://example.org/b.git' };
      const notices = await thirdPartyNotices([
        await install('node_modules/b', { license: 'MIT', repository }, { LICENSE: 'Be nice.\r\n' }),
        await install('node_modules/a', { license: '(MIT OR GPL-3.0)' }, { 'LICENCE.md': 'Be nice.' }),
        await install('node_modules/c', { license: 'Apache-2.0' }, { LICENSE: 'Apache.', NOTICE: 'By C.' }),
      ]);
      assert.match(
        notices,
        /\na 1\.2\.3 \(\(MIT OR GPL-3\.0\)\)\nb 1\.2\.3 \(MIT\)\nhttps:\/\/example\.org\/b\n/,
      );
      assert.equal(notices.split('Be nice.').length, 2);
      assert.match(notices, /c 1\.2\.3 \(Apache-2\.0\)\n=+\n\nApache\.\n\nBy C\.\n/);
    });

    for (const licence of ['GPL-3.0-only', 'MIT AND GPL-2.0-only', 'SEE LICENSE IN terms.txt', undefined]) {
      it(`refuse a package under ${licence ?? 'no licence'}`, async () => {
        const shipped = await install('node_modules/a', { license: licence }, { LICENSE: 'Terms.' });
        await assert.rejects(
          thirdPartyNotices([shipped]),
          (error: Error) =>
            error.message.startsWith(`a 1.2.3 is under "${licence ?? 'no licence'}"`) &&
            error.message.includes('not on the list of allowed licences'),
        );
      });
    }

    it('refuse a package without a licence text', async () => {
      const shipped = await install('node_modules/a', { license: 'MIT' }, { 'README.md': 'Licence: MIT' });
      await assert.rejects(
        thirdPartyNotices([shipped]),
        /^Error: a 1\.2\.3 carries no text of its licence: add one/,
      );
    });

    it('refuse the Lesser GPL but for the library that users can replace, which comes with the terms', async () => {
      const license = 'Apache-2.0 AND LGPL-3.0-or-later';
      const other = await install('node_modules/a', { license }, { LICENSE: 'Terms.' });
      await assert.rejects(thirdPartyNotices([other]), /not on the list/);
      const files = { LICENSE: 'Apache.', 'README.md': 'libvips: LGPLv3' };
      const notices = await thirdPartyNotices([
        await install('node_modules/@img/sharp-win32-x64', { license }, files),
      ]);
      for (const part of [
        'you may replace it',
        'libvips: LGPLv3',
        'GNU LESSER GENERAL PUBLIC LICENSE',
        'TERMS AND CONDITIONS',
      ])
        assert.ok(notices.includes(part), part);
    });

    it('refuse notices that are of another version', async () => {
      const shipped = await install('node_modules/onnxruntime-node', { license: 'MIT', version: '99.0.0' });
      await assert.rejects(
        thirdPartyNotices([shipped]),
        /onnxruntime-node .* are those of [\d.]+, but 99\.0\.0 is shipped/,
      );
    });
  });

  describe('native packages', () => {
    const root = ['koffi', 'onnxruntime-common', 'sharp'];
    const binary = (os: string, cpu: string, more: object = {}) => ({ os: [os], cpu: [cpu], ...more });

    async function installRoots(): Promise<void> {
      for (const name of root) await install(`node_modules/${name}`, {});
      await install('node_modules/onnxruntime-node', {
        dependencies: { 'adm-zip': '*', 'onnxruntime-common': '*' },
      });
      await install('node_modules/sharp', {
        dependencies: { semver: '*', 'sharp-linux': '*' },
        optionalDependencies: {
          'sharp-linux': '*',
          'sharp-musl': '*',
          'sharp-mac': '*',
          'sharp-absent': '*',
        },
      });
      await install('node_modules/semver', {});
      await install('node_modules/sharp/node_modules/semver', {});
      await install('node_modules/sharp-linux', binary('linux', 'x64', { libc: ['glibc'] }));
      await install('node_modules/sharp-musl', binary('linux', 'x64', { libc: ['musl'] }));
      await install('node_modules/sharp-mac', binary('darwin', 'arm64'));
    }

    const places = async (name: string): Promise<string[]> =>
      (await findNativePackages(folder.file('node_modules'), targetNamed(name))).map(({ place }) => place);

    it('are what the external packages load, with the binaries of the target', async () => {
      await installRoots();
      const shared = ['koffi', 'onnxruntime-common', 'onnxruntime-node', 'sharp'];
      assert.deepEqual(await places('linux-x64'), [...shared, 'sharp-linux', 'sharp/node_modules/semver']);
      assert.deepEqual(await places('darwin-arm64'), [...shared, 'sharp-mac', 'sharp/node_modules/semver']);
    });

    it('must be there for the target', async () => {
      await installRoots();
      await assert.rejects(
        places('win32-x64'),
        /no binary of sharp for win32-x64 is installed in .*: run npm ci/,
      );
    });

    it('leave out what is not loaded and keep the licences', () => {
      const runtime = '/onnxruntime-node/bin/napi-v6';
      const kept = [
        `${runtime}/linux/x64/libonnxruntime.so.1`,
        '/onnxruntime-node/dist/index.js',
        '/sharp/dist/index.mjs',
        '/@img/colour/LICENSE.md',
        '/@koromix/koffi-linux-x64/linux_x64/koffi.node',
        '/@img/sharp-libvips-linux-x64/lib/libvips-cpp.so.8.18.7',
      ];
      const left = [
        `${runtime}/linux/arm64`,
        `${runtime}/win32`,
        `${runtime}/linux/x64/libonnxruntime_providers_cuda.so`,
        `${runtime}/linux/x64/libonnxruntime_providers_tensorrt.so`,
        '/onnxruntime-node/script',
        '/onnxruntime-node/dist/index.js.map',
        '/@koromix/koffi-win32-x64/win32_x64/koffi.lib',
        '/onnxruntime-common/dist/cjs/index.d.ts',
        '/@koromix/koffi-linux-x64/musl_x64',
        '/koffi/vendor/node-addon-api/LICENSE.md',
        '/sharp/src',
      ];
      assert.deepEqual(
        [...kept, ...left].filter(file => isLoadedOn(linux, file)),
        kept,
      );
      assert.ok(isLoadedOn(targetNamed('win32-x64'), `${runtime}/win32/x64/dxcompiler.dll`));
      assert.ok(!isLoadedOn(targetNamed('win32-x64'), `${runtime}/win32/x64/DirectML.dll`));
      const mac = targetNamed('darwin-arm64');
      assert.ok(isLoadedOn(mac, `${runtime}/darwin/arm64/libonnxruntime.1.dylib`));
      assert.ok(!isLoadedOn(mac, `${runtime}/darwin/arm64/libonnxruntime.1.30.0.dylib`));
    });
  });

  it('makes packages for platforms that have every binary', () => {
    assert.throws(
      () => targetNamed('alpine-x64'),
      /there is no package for "alpine-x64": choose from linux-x64, /,
    );
  });

  it('leaves pictures, links into the clone and what it alone can do out of the README, and nothing else', async () => {
    const page =
      '# A\n\n## Two commands\nnpm ci\n\n### More\n\n## B\n\n![one](docs/a.png)\n\n(One is made up.)\n\n[guide](docs/b.md) and [web](https://c.org).\n\n![two](https://c.org/d.png)\n';
    assert.equal(
      pageOfInstalled(page),
      '# A\n\n## B\n\nguide and [web](https://c.org).\n\n![two](https://c.org/d.png)\n',
    );
    const readme = pageOfInstalled(await readFile('README.md', 'utf8'));
    assert.doesNotMatch(readme, /\]\((?!https?:|#)/);
    assert.match(readme, /^## In VS Code$/m);
    assert.doesNotMatch(readme, /npm run demo/);
  });
});
