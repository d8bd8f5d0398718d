import assert from 'node:assert/strict';
import path from 'node:path';
import {
  annotationArguments,
  annotationPath,
  isAnnotationArgument,
  parseAnnotationArguments,
} from '../../extension/annotationRequest.ts';

describe('finding regions from VS Code', () => {
  const at = (name: string): string => path.resolve('/data', name);

  it('takes an argument that is checked', () => {
    assert.deepEqual(parseAnnotationArguments({ images: at('photos') }, false), {
      images: at('photos'),
      naming: null,
    });
    const named = { images: at('photos'), model: at('clip'), classes: at('nouns.txt') };
    assert.deepEqual(parseAnnotationArguments(named, true)?.naming, {
      model: at('clip'),
      classes: at('nouns.txt'),
    });
    assert.equal(parseAnnotationArguments(undefined, true), null);
    assert.throws(
      () => parseAnnotationArguments({ images: 'photos' }, false),
      /“images” must be an absolute/,
    );
    assert.throws(
      () => parseAnnotationArguments(named, false),
      /“model” is not an argument of clipself\.propose. Known: images/,
    );
    assert.ok(isAnnotationArgument(named));
    assert.ok(!isAnnotationArgument({ directory: at('run') }));
  });

  it('has one place for the same question, so that it goes on there', () => {
    const request = { images: at('photos'), naming: null };
    const out = annotationPath(at('regions'), request);
    assert.equal(out, annotationPath(at('regions'), { ...request }));
    assert.match(path.basename(out), /^photos-proposals-[0-9a-f]{6}\.json$/);
    const pairs = { ...request, naming: { model: at('clip'), classes: at('nouns.txt') } };
    assert.notEqual(annotationPath(at('regions'), pairs), out);
    assert.deepEqual(annotationArguments(request, out), [
      ...['propose', '--images', at('photos'), '--out', out, '--json'],
    ]);
    assert.deepEqual(annotationArguments(pairs, out).slice(0, 1), ['pseudo-label']);
  });
});
