/**
 * Which part of an image a canvas shows. A view is kept in terms of the image, not of the canvas, so that columns of
 * different images, sizes and widths can share one: the point in the middle as shares of the image's width and height,
 * and the zoom relative to the size at which the whole image just fits.
 */
export interface Viewport {
  /** 1 shows the whole image, 2 half of it along each side. */
  zoom: number;
  /** Share of the image's width, 0 … 1, that lies in the middle of the canvas. */
  x: number;
  /** Share of the image's height, 0 … 1, that lies in the middle of the canvas. */
  y: number;
}

export interface Size {
  width: number;
  height: number;
}

/** Where an image lies on a canvas, in CSS pixels. */
export interface Placement {
  left: number;
  top: number;
  /** CSS pixels per image pixel. */
  scale: number;
}

export const wholeImage: Viewport = { zoom: 1, x: 0.5, y: 0.5 };

export const MAXIMUM_ZOOM = 32;

/** One step of the plus and minus keys. */
export const ZOOM_STEP = 1.25;

/** Where the image lies when a canvas shows this part of it. */
export function placeImage(viewport: Viewport, image: Size, canvas: Size): Placement {
  const fit = Math.min(canvas.width / image.width, canvas.height / image.height);
  const scale = fit * viewport.zoom;
  return {
    left: canvas.width / 2 - viewport.x * image.width * scale,
    top: canvas.height / 2 - viewport.y * image.height * scale,
    scale,
  };
}

/** The image point, in image pixels, under a point of the canvas; it may lie outside the image. */
export function imagePoint(placement: Placement, x: number, y: number): { x: number; y: number } {
  return { x: (x - placement.left) / placement.scale, y: (y - placement.top) / placement.scale };
}

/** Zooms by a factor so that the image point under a point of the canvas stays there. */
export function zoomAt(
  viewport: Viewport,
  factor: number,
  at: { x: number; y: number },
  image: Size,
  canvas: Size,
): Viewport {
  const zoom = Math.min(Math.max(viewport.zoom * factor, 1), MAXIMUM_ZOOM);
  if (zoom === viewport.zoom) return viewport;
  const point = imagePoint(placeImage(viewport, image, canvas), at.x, at.y);
  const { scale } = placeImage({ ...viewport, zoom }, image, canvas);
  return limitViewport(
    {
      zoom,
      x: (point.x + (canvas.width / 2 - at.x) / scale) / image.width,
      y: (point.y + (canvas.height / 2 - at.y) / scale) / image.height,
    },
    image,
    canvas,
  );
}

/** Moves the image by CSS pixels. */
export function panBy(viewport: Viewport, dx: number, dy: number, image: Size, canvas: Size): Viewport {
  const { scale } = placeImage(viewport, image, canvas);
  const moved = {
    ...viewport,
    x: viewport.x - dx / (scale * image.width),
    y: viewport.y - dy / (scale * image.height),
  };
  return limitViewport(moved, image, canvas);
}

/** Keeps the canvas filled where the image is larger than it, and the image in the middle where it is smaller. */
export function limitViewport(viewport: Viewport, image: Size, canvas: Size): Viewport {
  const { scale } = placeImage(viewport, image, canvas);
  const limit = (centre: number, shown: number): number =>
    shown >= 1 ? 0.5 : Math.min(Math.max(centre, shown / 2), 1 - shown / 2);
  return {
    zoom: viewport.zoom,
    x: limit(viewport.x, canvas.width / (scale * image.width)),
    y: limit(viewport.y, canvas.height / (scale * image.height)),
  };
}
