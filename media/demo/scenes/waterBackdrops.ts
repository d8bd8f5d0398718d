import { type Canvas, tenth } from './canvas.ts';
import { drawRidge, drawSky, drawSpots, drawWaves, type Light } from './nature.ts';
import { floating, standing, type Zone, type Zones } from './zones.ts';

function swimming(canvas: Canvas, top: number, bottom: number): Zone {
  return { ...standing(canvas, top, bottom, 0.5), posture: 'swim' };
}

function drawWater(canvas: Canvas, light: Light, colours: readonly [string, string]): Zones {
  const level = 0.42 * canvas.height;
  drawSky(canvas, level, light);
  const water = { left: 0, top: level, width: canvas.width, height: canvas.height - level };
  canvas.rect(water, canvas.gradient(...colours));
  drawWaves(canvas, level, canvas.height, light === 'sunset' ? '#ffd9b0' : '#d9f3ff');
  return { sky: floating(canvas, 0.02, 0.34), water: swimming(canvas, 0.5, 0.95) };
}

export function sea(canvas: Canvas): Zones {
  return drawWater(canvas, 'day', ['#4fa6d8', '#1b5f9e']);
}

export function sunsetSea(canvas: Canvas): Zones {
  return drawWater(canvas, 'sunset', ['#e58a7a', '#4a4a86']);
}

/** A pond with a bank in front and hills behind. */
export function pond(canvas: Canvas): Zones {
  const { width, height } = canvas;
  drawSky(canvas, 0.36 * height, 'day');
  drawRidge(canvas, 0.32 * height, 0.03 * height, 4, '#6fae7a');
  drawRidge(canvas, 0.37 * height, 0.012 * height, 5, '#5fa04f');
  canvas.rect(
    { left: 0, top: 0.4 * height, width, height: 0.6 * height },
    canvas.gradient('#8fd0dc', '#3f8fa8'),
  );
  drawWaves(canvas, 0.41 * height, 0.8 * height, '#e2f7fa');
  for (let i = 0; i < 7; i++) drawLilyPad(canvas);
  drawRidge(canvas, 0.82 * height, 0.02 * height, 4, canvas.gradient('#86c65a', '#4f973c'));
  drawSpots(canvas, 0.86 * height, 26, ['#ffffff', '#ffe15c', '#f59ac0'], 2.6);
  return {
    sky: floating(canvas, 0.02, 0.28),
    water: swimming(canvas, 0.5, 0.74),
    ground: standing(canvas, 0.88, 0.97, 0.9),
  };
}

function drawLilyPad(canvas: Canvas): void {
  const depth = canvas.random.between(0, 1);
  const at = { x: canvas.random.between(0, canvas.width), y: canvas.height * (0.46 + 0.3 * depth) };
  const radius = 10 + 18 * depth;
  canvas.ellipse(at, radius, radius * 0.36, '#3f9a4d');
  canvas.ellipse({ x: at.x, y: at.y - 1.5 }, radius * 0.86, radius * 0.28, '#63bf63');
  if (canvas.random.chance(0.4)) canvas.ellipse({ x: at.x, y: at.y - radius * 0.2 }, 5, 4, '#ffb3d1');
}

export function beach(canvas: Canvas): Zones {
  const { width, height } = canvas;
  const level = 0.36 * height;
  drawSky(canvas, level, 'day');
  canvas.rect(
    { left: 0, top: level, width, height: height - level },
    canvas.gradient('#2f8fd0', '#5fd0d8', '#b8eee6'),
  );
  drawWaves(canvas, level, 0.53 * height, '#e6faff');
  drawRidge(canvas, 0.56 * height, 0.02 * height, 5, '#ffffff');
  drawRidge(canvas, 0.585 * height, 0.018 * height, 5, canvas.gradient('#f7e0a8', '#e6bd78'));
  drawSpots(canvas, 0.62 * height, 110, ['#cf9f5c', '#fff3d1', '#c9a06a'], 1.6);
  return {
    sky: floating(canvas, 0.02, 0.28),
    water: swimming(canvas, 0.42, 0.5),
    ground: standing(canvas, 0.65, 0.96, 0.65),
  };
}

export function underwater(canvas: Canvas): Zones {
  const { width, height, random } = canvas;
  canvas.rect({ left: 0, top: 0, width, height }, canvas.gradient('#5fc9e8', '#1f83bf', '#0d4a86'));
  for (let i = 0; i < 6; i++) {
    const x = ((i + random.between(0, 0.6)) / 6) * width;
    const spread = random.between(0.05, 0.12) * width;
    canvas.fill(
      `M${tenth(x)} 0h${tenth(spread * 0.5)}l${tenth(spread)} ${height}h${tenth(-spread * 2)}z`,
      '#ffffff',
      0.07,
    );
  }
  drawRidge(canvas, 0.8 * height, 0.03 * height, 4, '#b79f78');
  drawRidge(canvas, 0.85 * height, 0.02 * height, 3, canvas.gradient('#e0c593', '#a88a5c'));
  drawSpots(canvas, 0.88 * height, 50, ['#8f744a', '#f0dcb0'], 2);
  for (let x = random.between(0, 40); x < width; x += random.between(36, 90))
    drawSeaweed(canvas, x, 0.87 * height);
  for (let i = 0; i < 34; i++) {
    const radius = random.between(1.5, 6);
    const at = { x: random.between(0, width), y: random.between(0, 0.85 * height) };
    canvas.ellipse(at, radius, radius, '#e8fbff', 0.35);
    canvas.ellipse(
      { x: at.x - radius * 0.3, y: at.y - radius * 0.3 },
      radius * 0.3,
      radius * 0.3,
      '#ffffff',
      0.8,
    );
  }
  return { sea: floating(canvas, 0.03, 0.78), ground: standing(canvas, 0.86, 0.97, 0.85) };
}

function drawSeaweed(canvas: Canvas, x: number, foot: number): void {
  const height = canvas.random.between(0.08, 0.22) * canvas.height;
  const sway = canvas.random.pick([-1, 1]) * 12;
  const half = tenth(-height / 2);
  canvas.line(`M${tenth(x)} ${tenth(foot)}q${sway} ${tenth(-height / 4)} 0 ${half}t0 ${half}`, {
    colour: canvas.random.pick(['#2f8f5c', '#1f7358', '#56a84c']),
    width: 5,
    opacity: 0.85,
  });
}
