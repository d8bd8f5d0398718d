import type { Canvas } from './canvas.ts';
import { drawSky, type Light } from './nature.ts';
import { floating, standing, type Zones } from './zones.ts';

const facades: Record<'day' | 'sunset', readonly string[]> = {
  day: ['#e8b9a0', '#c9d8b6', '#f0d9a8', '#b8cfe0', '#d8b8cf', '#d9a58a'],
  sunset: ['#8a5f7f', '#6f5a86', '#a86f75', '#7a6a8f', '#5f5580'],
};

export function street(canvas: Canvas): Zones {
  return drawStreet(canvas, 'day');
}

export function streetAtDusk(canvas: Canvas): Zones {
  return drawStreet(canvas, 'sunset');
}

function drawStreet(canvas: Canvas, light: 'day' | 'sunset'): Zones {
  const { width, height, random } = canvas;
  drawSky(canvas, 0.6 * height, light satisfies Light);
  for (let left = -20; left < width; ) {
    const wide = random.between(0.15, 0.24) * Math.max(width, 520);
    drawBuilding(canvas, left, wide, random.between(0.28, 0.46) * height, 0.6 * height, light);
    left += wide;
  }
  const day = light === 'day';
  canvas.rect(
    { left: 0, top: 0.6 * height, width, height: 0.14 * height },
    canvas.gradient(day ? '#cfc8be' : '#a394a3', day ? '#b8b0a5' : '#877a8c'),
  );
  for (let x = random.between(0, 40); x < width; x += 56) {
    canvas.line(`M${x.toFixed(1)} ${(0.605 * height).toFixed(1)}l-22 ${(0.13 * height).toFixed(1)}`, {
      colour: '#857c74',
      width: 1,
      opacity: 0.5,
    });
  }
  canvas.rect({ left: 0, top: 0.735 * height, width, height: 0.018 * height }, day ? '#e5e0d8' : '#b8abb8');
  canvas.rect(
    { left: 0, top: 0.753 * height, width, height: 0.25 * height },
    canvas.gradient(day ? '#5c6068' : '#4b4860', day ? '#484c54' : '#38364c'),
  );
  for (let x = random.between(-40, 0); x < width; x += 92) {
    canvas.rect({ left: x, top: 0.865 * height, width: 52, height: 0.014 * height }, '#f3efdf', {
      opacity: 0.9,
    });
  }
  return {
    sky: floating(canvas, 0.02, 0.2),
    pavement: standing(canvas, 0.66, 0.72, 1),
    road: standing(canvas, 0.82, 0.96, 0.85),
  };
}

function drawBuilding(
  canvas: Canvas,
  left: number,
  width: number,
  tall: number,
  foot: number,
  light: 'day' | 'sunset',
): void {
  const { random } = canvas;
  const facade = random.pick(facades[light]);
  canvas.rect({ left, top: foot - tall, width: width + 1, height: tall + 1 }, facade);
  canvas.rect(
    { left: left - 3, top: foot - tall - 7, width: width + 6, height: 9 },
    light === 'day' ? '#8f6f5c' : '#463a5c',
  );
  const columns = Math.max(2, Math.floor(width / 38));
  const rows = Math.max(2, Math.floor(tall / 46));
  const [cellWidth, cellHeight] = [width / columns, (tall - 12) / rows];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const lit = light === 'sunset' && random.chance(0.55);
      const box = {
        left: left + (column + 0.24) * cellWidth,
        top: foot - tall + 10 + (row + 0.16) * cellHeight,
        width: cellWidth * 0.52,
        height: cellHeight * 0.58,
      };
      canvas.rect(
        { ...box, left: box.left - 2, top: box.top - 2, width: box.width + 4, height: box.height + 4 },
        '#ffffff',
        { opacity: 0.55 },
      );
      canvas.rect(box, lit ? '#ffe08a' : light === 'day' ? '#7fa8c4' : '#3d4468');
      canvas.rect({ ...box, height: box.height * 0.4 }, '#ffffff', { opacity: 0.22 });
    }
  }
}

/** A brick wall above paving stones. */
export function brickWall(canvas: Canvas): Zones {
  const { width, height, random } = canvas;
  const foot = 0.76 * height;
  canvas.rect({ left: 0, top: 0, width, height: foot }, '#d9c4b2');
  const [wide, tall] = [46, 18];
  for (let row = 0; row * tall < foot; row++) {
    for (let left = row % 2 ? -wide / 2 : 0; left < width; left += wide) {
      const brick = {
        left: left + 1.5,
        top: row * tall + 1.5,
        width: wide - 3,
        height: Math.min(tall - 3, foot - row * tall),
      };
      canvas.rect(brick, random.pick(['#b5573f', '#a84b36', '#c0664a', '#9c4632', '#b96049']), {
        radius: 1.5,
      });
    }
  }
  canvas.rect({ left: 0, top: foot, width, height: height - foot }, canvas.gradient('#a8a39c', '#c7c2ba'));
  for (const depth of [0.18, 0.5]) {
    canvas.rect({ left: 0, top: foot + depth * (height - foot), width, height: 2 }, '#8a857e');
  }
  for (let x = -width; x < 2 * width; x += 84) {
    canvas.line(`M${x} ${foot.toFixed(1)}L${(x - width / 2) * 1.4 + width / 2} ${height}`, {
      colour: '#8a857e',
      width: 2,
    });
  }
  canvas.rect({ left: 0, top: foot - 3, width, height: 9 }, '#3a2a22', { opacity: 0.28 });
  return { wall: floating(canvas, 0.04, 0.5), ground: standing(canvas, 0.82, 0.96, 0.8) };
}
