import type { Canvas } from './canvas.ts';
import { drawGrass, drawMountains, drawRidge, drawSky, drawSpots, drawStars, type Light } from './nature.ts';
import { floating, standing, type Zones } from './zones.ts';

interface Land {
  hills: readonly [string, string];
  ground: readonly [string, string];
  blades: readonly string[];
  spots: readonly string[];
}

function drawLand(canvas: Canvas, light: Light, land: Land, horizon = 0.48): Zones {
  const level = horizon * canvas.height;
  drawSky(canvas, level, light);
  drawRidge(canvas, level - 0.05 * canvas.height, 0.045 * canvas.height, 4, land.hills[0]);
  drawRidge(canvas, level, 0.025 * canvas.height, 5, land.hills[1]);
  drawRidge(canvas, level + 0.05 * canvas.height, 0.012 * canvas.height, 3, canvas.gradient(...land.ground));
  drawGrass(canvas, level + 0.07 * canvas.height, land.blades);
  drawSpots(canvas, level + 0.1 * canvas.height, Math.round(canvas.width / 16), land.spots, 3);
  return { sky: floating(canvas, 0.02, horizon - 0.08), ground: standing(canvas, horizon + 0.1, 0.96, 0.5) };
}

export function meadow(canvas: Canvas): Zones {
  return drawLand(canvas, 'day', {
    hills: ['#8fc7a0', '#6fb56a'],
    ground: ['#8ccf5c', '#4f9e3a'],
    blades: ['#3f8a31', '#6fbf49', '#a3dc72'],
    spots: ['#ffffff', '#ffe15c', '#f59ac0', '#b99af5'],
  });
}

export function autumnPark(canvas: Canvas): Zones {
  return drawLand(canvas, 'overcast', {
    hills: ['#c9a27c', '#b98354'],
    ground: ['#c3a65a', '#8f7a3a'],
    blades: ['#7d6a2f', '#a8923f', '#d4b95f'],
    spots: ['#d9542b', '#eb8f2d', '#f2c14e', '#a63d1f'],
  });
}

export function savanna(canvas: Canvas): Zones {
  return drawLand(
    canvas,
    'sunset',
    {
      hills: ['#a8617a', '#9a6a4a'],
      ground: ['#e0b45c', '#b07a35'],
      blades: ['#8f6a2a', '#c99a45', '#f0cf80'],
      spots: ['#8a6430', '#caa050'],
    },
    0.46,
  );
}

export function jungle(canvas: Canvas): Zones {
  return drawLand(
    canvas,
    'day',
    {
      hills: ['#3f8f6a', '#23734a'],
      ground: ['#3c9a4a', '#1f5f34'],
      blades: ['#174a2a', '#4fb85c', '#7fd46f'],
      spots: ['#ff6f91', '#ffc145', '#ff8c42'],
    },
    0.42,
  );
}

export function nightCamp(canvas: Canvas): Zones {
  return drawLand(canvas, 'night', {
    hills: ['#28356b', '#1f3050'],
    ground: ['#2d5247', '#16302c'],
    blades: ['#3f6f58', '#1c4038', '#56896a'],
    spots: ['#fff3a8', '#9fb6ff'],
  });
}

export function farm(canvas: Canvas): Zones {
  const zones = meadow(canvas);
  drawFence(canvas, 0.57 * canvas.height);
  return { ...zones, ground: standing(canvas, 0.66, 0.96, 0.65) };
}

function drawFence(canvas: Canvas, foot: number): void {
  const height = 0.11 * canvas.height;
  const gap = height * 1.1;
  for (const rail of [0.35, 0.75]) {
    canvas.rect(
      { left: 0, top: foot - height * rail, width: canvas.width, height: height * 0.13 },
      '#d9c3a0',
    );
  }
  for (let x = gap * 0.4; x < canvas.width; x += gap) {
    canvas.rect({ left: x, top: foot - height, width: height * 0.16, height }, '#f0e2c6', { radius: 2 });
    canvas.rect({ left: x + height * 0.11, top: foot - height, width: height * 0.05, height }, '#bfa67e');
  }
}

export function snowfield(canvas: Canvas): Zones {
  const level = 0.5 * canvas.height;
  drawSky(canvas, level, 'overcast');
  drawMountains(canvas, level, '#8fa6bd', '#f5f9fc');
  drawSnow(canvas, level, ['#dfeaf3', '#f7fbff', '#d3e2f0']);
  return { sky: floating(canvas, 0.02, 0.38), ground: standing(canvas, 0.6, 0.96, 0.5) };
}

export function snowNight(canvas: Canvas): Zones {
  const level = 0.5 * canvas.height;
  drawSky(canvas, level, 'night');
  drawMountains(canvas, level, '#3b4a80', '#c9d6f5');
  drawSnow(canvas, level, ['#8fa2cf', '#c4d1f0', '#8496c4']);
  return { sky: floating(canvas, 0.02, 0.36), ground: standing(canvas, 0.6, 0.96, 0.5) };
}

function drawSnow(canvas: Canvas, level: number, [far, near, low]: readonly [string, string, string]): void {
  drawRidge(canvas, level + 4, 0.02 * canvas.height, 4, far);
  drawRidge(canvas, level + 0.07 * canvas.height, 0.018 * canvas.height, 3, canvas.gradient(near, low));
  drawRidge(canvas, level + 0.28 * canvas.height, 0.02 * canvas.height, 3, canvas.gradient(near, low));
  for (let i = 0; i < canvas.width / 5; i++) {
    const at = { x: canvas.random.between(0, canvas.width), y: canvas.random.between(0, canvas.height) };
    const radius = canvas.random.between(1, 3.2);
    canvas.ellipse(at, radius, radius, '#ffffff', 0.8);
  }
}

export function desert(canvas: Canvas): Zones {
  const level = 0.46 * canvas.height;
  drawSky(canvas, level, 'day');
  drawRidge(canvas, level, 0.05 * canvas.height, 4, '#e8b878');
  drawRidge(
    canvas,
    level + 0.07 * canvas.height,
    0.03 * canvas.height,
    3,
    canvas.gradient('#f3cf8f', '#d99f55'),
  );
  drawRidge(
    canvas,
    level + 0.26 * canvas.height,
    0.03 * canvas.height,
    3,
    canvas.gradient('#f6d79b', '#dda75f'),
  );
  drawSpots(canvas, level + 0.12 * canvas.height, 70, ['#c48f4c', '#fbe6ba', '#b98345'], 1.8);
  return { sky: floating(canvas, 0.02, 0.34), ground: standing(canvas, 0.56, 0.96, 0.5) };
}

export function openSky(canvas: Canvas): Zones {
  drawSky(canvas, canvas.height, 'day');
  return { sky: floating(canvas, 0.02, 0.98) };
}

export function space(canvas: Canvas): Zones {
  const { width, height, random } = canvas;
  canvas.rect({ left: 0, top: 0, width, height }, canvas.gradient('#0a0a24', '#1a1244', '#2c1550'));
  for (const colour of ['#7b3fd1', '#2f6fd6', '#c83f8f']) {
    const at = { x: random.between(0.1, 0.9) * width, y: random.between(0.1, 0.9) * height };
    canvas.ellipse(at, 0.42 * width, 0.28 * height, canvas.glow(colour, 0.45));
  }
  drawStars(canvas, height, 160);
  return { sky: floating(canvas, 0.02, 0.98) };
}
