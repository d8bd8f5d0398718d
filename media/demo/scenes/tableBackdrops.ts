import type { Canvas } from './canvas.ts';
import { tenth } from './canvas.ts';
import { drawGrass } from './nature.ts';
import type { Zones } from './zones.ts';

function wholePicture(canvas: Canvas): Zones {
  const margin = 0.03;
  return {
    table: {
      posture: 'lie',
      left: margin * canvas.width,
      right: (1 - margin) * canvas.width,
      top: margin * canvas.height,
      bottom: (1 - margin) * canvas.height,
      farScale: 1,
    },
  };
}

/** A wooden table seen from above. */
export function woodenTable(canvas: Canvas): Zones {
  const { width, height, random } = canvas;
  const plank = height / 6;
  for (let top = 0; top < height; top += plank) {
    canvas.rect(
      { left: 0, top, width, height: plank },
      random.pick(['#b5804f', '#bd8856', '#aa7646', '#c49060']),
    );
    for (let i = 0; i < 7; i++) {
      const y = top + random.between(0.1, 0.9) * plank;
      const bend = random.between(-7, 7);
      canvas.line(
        `M0 ${tenth(y)}Q${tenth(width * 0.3)} ${tenth(y + bend)} ${tenth(width / 2)} ${tenth(y)}T${width} ${tenth(y)}`,
        {
          colour: '#6f4524',
          width: random.between(0.8, 2),
          opacity: 0.3,
        },
      );
    }
    canvas.rect({ left: 0, top: top - 1.5, width, height: 3 }, '#55331a', { opacity: 0.7 });
  }
  return wholePicture(canvas);
}

/** A checked cloth on grass seen from above. */
export function picnicCloth(canvas: Canvas): Zones {
  const { width, height } = canvas;
  canvas.rect({ left: 0, top: 0, width, height }, '#5fa84a');
  drawGrass(canvas, 0, ['#3f8a31', '#7fc65c', '#4f9a3c']);
  const inset = 0.045 * Math.min(width, height);
  const cloth = { left: inset, top: inset, width: width - 2 * inset, height: height - 2 * inset };
  canvas.rect({ ...cloth, left: cloth.left + 4, top: cloth.top + 6 }, '#1f4a1c', { opacity: 0.4 });
  canvas.rect(cloth, '#fdf6f0');
  const check = cloth.width / 14;
  for (let left = cloth.left; left < cloth.left + cloth.width - 1; left += 2 * check) {
    canvas.rect({ ...cloth, left, width: check }, '#d8343f', { opacity: 0.45 });
  }
  for (let top = cloth.top; top < cloth.top + cloth.height; top += 2 * check) {
    const tall = Math.min(check, cloth.top + cloth.height - top);
    canvas.rect({ ...cloth, top, height: tall }, '#d8343f', { opacity: 0.45 });
  }
  return wholePicture(canvas);
}

/** A linen cloth with dots seen from above. */
export function linen(canvas: Canvas): Zones {
  const { width, height } = canvas;
  canvas.rect({ left: 0, top: 0, width, height }, canvas.gradient('#c4dbe0', '#a9c8d0'));
  for (let row = 0; row * 26 < height + 26; row++) {
    for (let x = row % 2 ? 0 : 22; x < width + 22; x += 44) {
      canvas.ellipse({ x, y: row * 26 }, 4, 4, '#ffffff', 0.65);
    }
  }
  return wholePicture(canvas);
}
