import assert from 'node:assert/strict';
import {
  imagePoint,
  limitViewport,
  MAXIMUM_ZOOM,
  panBy,
  placeImage,
  wholeImage,
  zoomAt,
} from '../../webview/inspector/viewport.ts';

const image = { width: 400, height: 200 };
const canvas = { width: 800, height: 600 };

describe('inspector viewport', () => {
  it('shows the whole image in the middle of the canvas', () => {
    assert.deepEqual(placeImage(wholeImage, image, canvas), { left: 0, top: 100, scale: 2 });
    const tall = placeImage(wholeImage, { width: 100, height: 300 }, canvas);
    assert.deepEqual(tall, { left: 300, top: 0, scale: 2 });
  });

  it('keeps the image point under the pointer where it is while zooming', () => {
    const at = { x: 300, y: 250 };
    const before = imagePoint(placeImage(wholeImage, image, canvas), at.x, at.y);
    const zoomed = zoomAt(wholeImage, 4, at, image, canvas);
    const after = imagePoint(placeImage(zoomed, image, canvas), at.x, at.y);
    assert.equal(zoomed.zoom, 4);
    assert.ok(Math.abs(after.x - before.x) < 1e-9 && Math.abs(after.y - before.y) < 1e-9);
  });

  it('zooms neither out beyond the whole image nor in without end', () => {
    assert.deepEqual(zoomAt(wholeImage, 0.5, { x: 0, y: 0 }, image, canvas), wholeImage);
    assert.equal(zoomAt(wholeImage, 1e6, { x: 400, y: 300 }, image, canvas).zoom, MAXIMUM_ZOOM);
  });

  it('pans by canvas pixels and stops at the edges of the image', () => {
    const zoomed = { zoom: 4, x: 0.5, y: 0.5 };
    const { scale } = placeImage(zoomed, image, canvas);
    const panned = panBy(zoomed, 80, 0, image, canvas);
    assert.ok(Math.abs(panned.x - (0.5 - 80 / (scale * image.width))) < 1e-12);
    const atEdge = panBy(zoomed, 1e6, 1e6, image, canvas);
    const { left, top } = placeImage(atEdge, image, canvas);
    assert.ok(Math.abs(left) < 1e-9 && Math.abs(top) < 1e-9);
  });

  it('centres an axis along which the image is smaller than the canvas', () => {
    // At this zoom the image is 1200 × 600 pixels: it fills the height exactly and overflows the width.
    const limited = limitViewport({ zoom: 1.5, x: 0, y: 0.9 }, image, canvas);
    assert.equal(limited.y, 0.5);
    assert.ok(Math.abs(limited.x - 800 / 1200 / 2) < 1e-12);
  });
});
