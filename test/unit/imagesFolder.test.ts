import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, relative } from 'node:path';
import { listImages } from '../../trainer/images/imageFolder.ts';
import { type TemporaryFolder, temporaryFolder } from '../support/temporaryFolder.ts';

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

async function store(name: string, content = ''): Promise<string> {
  await mkdir(dirname(folder.file(name)), { recursive: true });
  await writeFile(folder.file(name), content);
  return folder.file(name);
}

const names = (files: string[]) => files.map(file => relative(folder.path, file));

describe('listImages', () => {
  it('finds images in every folder, in code-unit order', async () => {
    const kept = ['B.JPG', 'a.png', 'sub/deep/c.webp', 'sub/z.TIFF', 'é.jpeg', 'x.gif', 'y.bmp', 'Z/1.tif'];
    const left = ['notes.txt', 'jpg', '.hidden.png', '.cache/d.png', 'node_modules/e.png', 'data.json'];
    for (const name of [...kept, ...left]) await store(name);
    assert.deepEqual(names(await listImages(folder.path)), kept.sort());
  });

  it('follows links once and survives loops', async () => {
    await store('real/a.png');
    await symlink(folder.path, folder.file('real/loop'));
    await symlink(folder.file('real'), folder.file('alias'));
    await symlink(folder.file('real/a.png'), folder.file('linked.png'));
    await symlink(folder.file('nowhere'), folder.file('broken.png'));
    assert.deepEqual(names(await listImages(folder.path)), ['alias/a.png', 'linked.png']);
  });

  it('says when there are none', async () => {
    await store('notes.txt');
    await assert.rejects(listImages(folder.path), /^Error: No images in .*: add JPEG or PNG/);
    await assert.rejects(listImages(folder.file('absent')), /No such image folder: .*absent/);
    await assert.rejects(listImages(folder.file('notes.txt')), /neither a folder of images nor/);
  });

  it('reads a COCO-style JSON, relative to its folder or another', async () => {
    const json = await store(
      'annotations/instances.json',
      JSON.stringify({ images: [{ file_name: 'b.jpg' }, { file_name: 'x/a.jpg' }, { file_name: 'b.jpg' }] }),
    );
    assert.deepEqual(names(await listImages(json)), ['annotations/b.jpg', 'annotations/x/a.jpg']);
    const elsewhere = await listImages(json, { imageRoot: folder.file('val2017') });
    assert.deepEqual(names(elsewhere), ['val2017/b.jpg', 'val2017/x/a.jpg']);
  });

  it('refuses file names that leave the folder', async () => {
    for (const name of ['../secret.png', '/etc/passwd', 'a/../../b.png', '..', '.']) {
      const json = await store('list.json', JSON.stringify({ images: [{ file_name: name }] }));
      await assert.rejects(listImages(json), /leaves the image folder/, name);
    }
    const json = await store('list.json', JSON.stringify({ images: [{ file_name: '..a.png' }] }));
    assert.deepEqual(names(await listImages(json)), ['..a.png']);
  });

  it('refuses a JSON of another kind', async () => {
    const cases: [string, RegExp][] = [
      ['{"images": [', /is not valid JSON/],
      ['null', /no list "images"/],
      ['{"images": {}}', /no list "images"/],
      ['{"images": [null]}', /images\[0\] has no file_name/],
      ['{"images": [{"file_name": 3}]}', /images\[0\] has no file_name/],
      ['{"images": []}', /No images in/],
    ];
    for (const [content, message] of cases)
      await assert.rejects(listImages(await store('list.json', content)), message);
  });
});
